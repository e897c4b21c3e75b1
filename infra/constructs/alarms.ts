// A stage's alarms: each has a runbook, and all of them notify one topic.
import { Stack } from 'aws-cdk-lib'
import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch'
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions'
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Key } from 'aws-cdk-lib/aws-kms'
import { Topic } from 'aws-cdk-lib/aws-sns'
import { Construct } from 'constructs'
import { prefix } from '../names.ts'
import type { StageProps } from '../stages.ts'
import { removalPolicy } from './log-group.ts'

// A link in a GitHub workflow, which knows the repository's URL; otherwise a path.
const { GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env
const runbooks = `${GITHUB_REPOSITORY ? `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/blob/main/` : ''}docs/runbooks.md`

export type Condition = {
  metric: IMetric
  /** Alarm above this threshold. */
  above?: number
  /** Alarm below this threshold. */
  below?: number
  /** The number of the last periods that must breach: all of them, or `count` of `of`. */
  periods: number | [count: number, of: number]
  /**
   * Notify when no data arrives at all. The state is then INSUFFICIENT_DATA, like that of a new alarm. Only a change of
   * state notifies, so a new stage is quiet until its first scheduled run.
   */
  mustReport?: boolean
  /** The shard of a cluster, from 1. Its alarm has this number after the id, and the runbook of all shards. */
  shard?: number | undefined
}

export class Alarms extends Construct {
  readonly topic: Topic
  readonly #name: string

  constructor(scope: Construct, id: string, { stageName, stage }: StageProps) {
    super(scope, id)
    this.#name = prefix(stageName)
    // CloudWatch cannot use the AWS managed key of SNS.
    const key = new Key(this, 'Key', {
      description: `Alarms of ${this.#name}`,
      enableKeyRotation: true,
      removalPolicy: removalPolicy(stage),
    })
    const cloudWatch = new ServicePrincipal('cloudwatch.amazonaws.com')
    key.grantEncryptDecrypt(cloudWatch)
    this.topic = new Topic(this, 'Topic', { masterKey: key, enforceSSL: true })
    // `enforceSSL` adds a policy, and any policy replaces the default one that lets CloudWatch publish.
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        principals: [cloudWatch],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    )
  }

  /** @param id also the heading of its runbook */
  add(id: string, description: string, condition: Condition): Alarm {
    const { metric, above, below, periods, mustReport, shard = '' } = condition
    const [count, of] = typeof periods === 'number' ? [periods, periods] : periods
    const alarm = new Alarm(this, `${id}${shard}`, {
      alarmName: `${this.#name}-${id}${shard}`,
      alarmDescription: `${description} Runbook: ${runbooks}#${id.toLowerCase()}`,
      metric,
      threshold: above ?? below ?? 0,
      comparisonOperator:
        below === undefined
          ? ComparisonOperator.GREATER_THAN_THRESHOLD
          : ComparisonOperator.LESS_THAN_THRESHOLD,
      datapointsToAlarm: count,
      evaluationPeriods: of,
      treatMissingData: mustReport ? TreatMissingData.MISSING : TreatMissingData.NOT_BREACHING,
    })
    const action = new SnsAction(this.topic)
    alarm.addAlarmAction(action)
    alarm.addOkAction(action)
    if (mustReport) alarm.addInsufficientDataAction(action)
    return alarm
  }
}
