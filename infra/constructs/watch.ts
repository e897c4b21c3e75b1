// Who watches: alarms that somebody is told of, and the picture of it all. What the service counts itself goes by
// the same catalogue that its log lines are made from.
import { Duration, Stack } from 'aws-cdk-lib'
import {
  Alarm,
  ComparisonOperator,
  Dashboard,
  GraphWidget,
  type IMetric,
  MathExpression,
  Metric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch'
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions'
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Key } from 'aws-cdk-lib/aws-kms'
import { Topic } from 'aws-cdk-lib/aws-sns'
import { Construct } from 'constructs'
import { metrics, namespace } from '../../src/connection/metrics.ts'
import type { DataStack } from '../data-stack.ts'
import { prefix } from '../names.ts'
import type { Stage, StageName } from '../stages.ts'
import type { Api } from './api.ts'
import type { Functions } from './functions.ts'
import { removalPolicy } from './log-group.ts'
import type { Schedules } from './schedules.ts'

const minute = Duration.minutes(1)

type Kind = keyof typeof metrics

/** A metric that the service's own log lines hold. */
function counted<K extends Kind>(
  kind: K,
  name: Extract<keyof (typeof metrics)[K]['units'], string>,
  statistic = 'Sum',
  period = minute,
): Metric {
  return new Metric({
    namespace,
    metricName: name,
    dimensionsMap: { ...metrics[kind].dimensions },
    statistic,
    period,
    label: name,
  })
}

type Condition = {
  metric: IMetric
  /** The alarm is for what is above this; `below` turns it round. */
  above?: number
  below?: number
  /** How many of the last periods must be so; all of them when one number is given. */
  periods: number | [count: number, of: number]
  /** What a period without a value means; all is well when absent. */
  missing?: TreatMissingData
}

export class Watch extends Construct {
  readonly topic: Topic
  /** Those that a new version of the API must not set off. */
  readonly ofNewVersion: Alarm[]
  readonly #name: string

  constructor(
    scope: Construct,
    id: string,
    stageName: StageName,
    stage: Stage,
    data: DataStack,
    parts: { functions: Functions; api: Api; schedules: Schedules },
  ) {
    super(scope, id)
    const { functions, api, schedules } = parts
    this.#name = prefix(stageName)
    // CloudWatch may not use Amazon's own key.
    const key = new Key(this, 'Key', {
      description: `Alarms of ${this.#name}`,
      enableKeyRotation: true,
      removalPolicy: removalPolicy(stage),
    })
    const cloudWatch = new ServicePrincipal('cloudwatch.amazonaws.com')
    key.grantEncryptDecrypt(cloudWatch)
    this.topic = new Topic(this, 'Alarms', { masterKey: key, enforceSSL: true })
    // `enforceSSL` adds a policy, and any policy replaces the default one that lets CloudWatch publish.
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        principals: [cloudWatch],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    )

    const { request, latency, gateway, connections, lag, outlived } = {
      request: functions.api.alias,
      latency: counted('request', 'Latency', 'p99'),
      gateway: api.rest.metricServerError({ period: Duration.minutes(5), statistic: 'Sum' }),
      connections: data.database.instance.metricDatabaseConnections({ period: minute, statistic: 'Maximum' }),
      lag: counted('outbox', 'OutboxLag', 'Maximum'),
      outlived: counted('sessionEnd', 'SessionOutlived', 'p99'),
    }
    this.ofNewVersion = [
      this.#alarm('Crashes', 'The API’s function fails to answer: it crashes or takes too long.', {
        metric: request.metricErrors({ period: minute, statistic: 'Sum' }),
        above: 0,
        periods: 1,
      }),
      this.#alarm('ServerErrors', 'The API answers 500. The log lines of level ERROR say why.', {
        metric: counted('request', 'ServerErrors'),
        above: 0,
        periods: 1,
      }),
      this.#alarm('Latency', 'One request in a hundred takes longer than a second.', {
        metric: latency,
        above: 1_000,
        periods: [3, 5],
      }),
    ]
    this.#alarm('GatewayErrors', 'The gateway answers 5xx, though the function may be well.', {
      metric: gateway,
      above: 0,
      periods: 1,
    })
    this.#alarm('Refused', 'The API answers 503 or 429: it is overloaded, or a dependency is away.', {
      metric: counted('request', 'Refused'),
      above: 10,
      periods: [3, 5],
    })
    this.#alarm('Throttles', 'More calls of the API or of sign-ins come than may run at once.', {
      metric: new MathExpression({
        // A function that is not called has no values.
        expression: 'FILL(api, 0) + FILL(signIn, 0)',
        usingMetrics: {
          api: functions.api.alias.metricThrottles({ period: minute, statistic: 'Sum' }),
          signIn: functions.signIn.alias.metricThrottles({ period: minute, statistic: 'Sum' }),
        },
        period: minute,
      }),
      above: 0,
      periods: [2, 5],
    })
    this.#alarm('DatabaseConnections', 'Most of the database’s connections are taken.', {
      metric: connections,
      above: stage.database.connectionsMax * 0.8,
      periods: 5,
    })
    this.#alarm('DatabaseStorage', 'The database’s disk is nearly full.', {
      metric: data.database.instance.metricFreeStorageSpace({
        period: Duration.minutes(5),
        statistic: 'Minimum',
      }),
      below: stage.database.storageGb * 0.05 * 1024 ** 3,
      periods: 3,
    })
    this.#alarm('CacheDown', 'Reads go past the cache: it cannot be reached or is not trusted.', {
      metric: counted('request', 'CacheBypasses'),
      above: 0,
      periods: 5,
    })
    this.#alarm('CacheDrift', 'The cache held what the database does not: its protocol has been broken.', {
      metric: new MathExpression({
        expression: 'repaired + dropped',
        usingMetrics: {
          repaired: counted('revalidation', 'Repaired'),
          dropped: counted('revalidation', 'Dropped'),
        },
        period: minute,
      }),
      above: 0,
      periods: 1,
    })
    this.#alarm('RevalidationMissing', 'The daily revalidation has not been finished for a day.', {
      metric: counted('revalidation', 'Finished', 'Sum', Duration.hours(1)),
      below: 1,
      // A day, and room for runs of different lengths.
      periods: 26,
      missing: TreatMissingData.BREACHING,
    })
    this.#alarm('DeadLetters', 'A scheduled call was lost, or the daily job failed to the last try.', {
      metric: schedules.deadLetters.metricApproximateNumberOfMessagesVisible({
        period: minute,
        statistic: 'Maximum',
      }),
      above: 0,
      periods: 1,
    })
    this.#alarm(
      'OutboxLag',
      'Cognito or the event bus has not been told for minutes, or nobody tells them.',
      {
        metric: lag,
        above: 60,
        periods: 10,
        missing: TreatMissingData.BREACHING,
      },
    )
    this.#alarm('BlocksLate', 'Tokens are taken for longer than a second after their user was blocked.', {
      metric: outlived,
      above: 1_000,
      periods: 1,
    })
    this.#alarm('SignInsRefused', 'Most sign-ins are refused: somebody guesses, or something is wrong.', {
      metric: new MathExpression({
        expression: 'IF(refused > 20 AND refused > done, refused, 0)',
        usingMetrics: {
          refused: counted('signIn', 'SignInsRefused', 'Sum', Duration.minutes(5)),
          done: counted('signIn', 'SignIns', 'Sum', Duration.minutes(5)),
        },
        period: Duration.minutes(5),
      }),
      above: 0,
      periods: 2,
    })
    this.#alarm('SignInsSlow', 'Sign-ins take nearly as long as Cognito waits.', {
      metric: functions.signIn.alias.metricDuration({ period: minute, statistic: 'p99' }),
      above: 4_000,
      periods: [2, 5],
    })

    const graph = (title: string, ...left: IMetric[]) => new GraphWidget({ title, left, width: 8, height: 6 })
    new Dashboard(this, 'Dashboard', {
      dashboardName: this.#name,
      widgets: [
        [
          graph('Requests', counted('request', 'Requests'), counted('request', 'Refused')),
          graph('Latency, ms', counted('request', 'Latency', 'p50'), latency),
          graph(
            'Errors',
            counted('request', 'ServerErrors'),
            gateway,
            request.metricErrors({ period: minute }),
          ),
        ],
        [
          graph(
            'Cache',
            counted('request', 'CacheHits'),
            counted('request', 'CacheMisses'),
            counted('request', 'CacheBypasses'),
          ),
          graph('Database connections', connections),
          graph('Database, %', data.database.instance.metricCPUUtilization({ period: minute })),
        ],
        [
          graph('Outbox', counted('outbox', 'OutboxPending', 'Maximum'), lag),
          graph('Sign-ins', counted('signIn', 'SignIns'), counted('signIn', 'SignInsRefused')),
          graph(
            'Tokens taken after a block, ms',
            counted('sessionEnd', 'SessionOutlived', 'Maximum'),
            outlived,
          ),
        ],
        [
          graph(
            'Functions at once',
            ...[functions.api, functions.signIn].map(
              ({ function: { functionName } }) =>
                new Metric({
                  namespace: 'AWS/Lambda',
                  metricName: 'ConcurrentExecutions',
                  dimensionsMap: { FunctionName: functionName },
                  statistic: 'Maximum',
                  period: minute,
                }),
            ),
          ),
          graph(
            'Daily revalidation',
            ...(['Scanned', 'Fresh', 'Repaired', 'Dropped', 'Orphans'] as const).map((name) =>
              counted('revalidation', name, 'Sum', Duration.hours(1)),
            ),
          ),
          graph('Its duration, ms', counted('revalidation', 'Duration', 'Maximum', Duration.hours(1))),
        ],
        [
          graph(
            'Firewall',
            ...['RequestsPerAddress', 'CommonRuleSet', 'KnownBadInputsRuleSet', 'AmazonIpReputationList'].map(
              (rule) => api.metricBlocked(rule),
            ),
          ),
        ],
      ],
    })
  }

  #alarm(id: string, description: string, { metric, above, below, periods, missing }: Condition): Alarm {
    const [count, of] = typeof periods === 'number' ? [periods, periods] : periods
    const alarm = new Alarm(this, id, {
      alarmName: `${this.#name}-${id}`,
      alarmDescription: description,
      metric,
      threshold: above ?? below ?? 0,
      comparisonOperator:
        below === undefined
          ? ComparisonOperator.GREATER_THAN_THRESHOLD
          : ComparisonOperator.LESS_THAN_THRESHOLD,
      datapointsToAlarm: count,
      evaluationPeriods: of,
      treatMissingData: missing ?? TreatMissingData.NOT_BREACHING,
    })
    const action = new SnsAction(this.topic)
    alarm.addAlarmAction(action)
    alarm.addOkAction(action)
    return alarm
  }
}
