// Monitoring of a stage: the alarms of the service, those of its data stores, and the dashboard.
import { Duration } from 'aws-cdk-lib'
import { type Alarm, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch'
import type { Topic } from 'aws-cdk-lib/aws-sns'
import { Construct } from 'constructs'
import type { DataStack } from '../data-stack.ts'
import type { Stage, StageName } from '../stages.ts'
import { Alarms } from './alarms.ts'
import type { Api } from './api.ts'
import { addDashboard } from './dashboard.ts'
import { addDataAlarms } from './data-alarms.ts'
import { DataMetrics } from './data-metrics.ts'
import type { Functions } from './functions.ts'
import { OwnMetrics } from './own-metrics.ts'
import type { Schedules } from './schedules.ts'

const minute = Duration.minutes(1)
const fiveMinutes = Duration.minutes(5)

export type Watched = { stageName: StageName; functions: Functions; api: Api; schedules: Schedules }

export class Watch extends Construct {
  readonly topic: Topic
  /** Those that a new version of the API must not set off. */
  readonly ofNewVersion: Alarm[]
  readonly #alarms: Alarms
  readonly #own: OwnMetrics

  constructor(scope: Construct, id: string, stage: Stage, data: DataStack, watched: Watched) {
    super(scope, id)
    const { stageName } = watched
    this.#alarms = new Alarms(this, 'Alarms', stageName, stage)
    this.topic = this.#alarms.topic
    this.#own = new OwnMetrics(stageName)
    this.ofNewVersion = this.#guardNewVersion(watched)
    this.#watchApi(watched)
    this.#watchCache()
    this.#watchJobs(watched)
    this.#watchSignIns(watched)
    const ofData = new DataMetrics(stageName, stage, data)
    addDataAlarms(this.#alarms, stage, ofData)
    addDashboard(this, watched, this.#own, ofData)
  }

  /** They see the new version alone, so that a fix can be deployed while the old version's alarms are on. */
  #guardNewVersion({ functions: { api } }: Watched): Alarm[] {
    const { version } = api.function.currentVersion
    return [
      this.#alarms.add('NewVersionCrashes', 'The API’s new version crashes or takes too long.', {
        metric: new Metric({
          namespace: 'AWS/Lambda',
          metricName: 'Errors',
          dimensionsMap: {
            FunctionName: api.function.functionName,
            Resource: `${api.function.functionName}:${api.alias.aliasName}`,
            ExecutedVersion: version,
          },
          statistic: 'Sum',
          period: minute,
        }),
        above: 0,
        periods: 1,
      }),
      this.#alarms.add('NewVersionErrors', 'The API’s new version answers 500.', {
        metric: this.#own.read('request', 'ServerErrors', { version }),
        above: 0,
        periods: 1,
      }),
      this.#alarms.add('NewVersionLatency', 'One request in a hundred takes the new version over a second.', {
        metric: this.#latencyUnderLoad(version),
        above: 1_000,
        periods: [2, 5],
      }),
    ]
  }

  #watchApi({ functions, api }: Watched): void {
    this.#alarms.add('Crashes', 'The API’s function crashes or takes too long.', {
      metric: functions.api.alias.metricErrors({ period: minute, statistic: 'Sum' }),
      above: 0,
      periods: 1,
    })
    this.#alarms.add('ServerErrors', 'The API answers 500.', {
      metric: this.#own.read('request', 'ServerErrors'),
      above: 0,
      periods: 1,
    })
    this.#alarms.add('Latency', 'One request in a hundred takes longer than a second.', {
      metric: this.#latencyUnderLoad(),
      above: 1_000,
      periods: [3, 5],
    })
    this.#alarms.add('GatewayErrors', 'The gateway answers more than 5 % of its requests with 5xx.', {
      metric: new MathExpression({
        expression: 'IF(errors >= 5, 100 * errors / requests, 0)',
        usingMetrics: {
          errors: api.rest.metricServerError({ period: fiveMinutes, statistic: 'Sum' }),
          requests: api.rest.metricCount({ period: fiveMinutes, statistic: 'Sum' }),
        },
        period: fiveMinutes,
      }),
      above: 5,
      periods: 1,
    })
    this.#alarms.add('Refused', 'The API answers 503 or 429: it is overloaded, or a dependency is down.', {
      metric: this.#own.read('request', 'Refused'),
      above: 10,
      periods: [3, 5],
    })
    this.#alarms.add('Throttles', 'Lambda throttles calls of the API or of sign-ins.', {
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
  }

  #watchCache(): void {
    const read = (name: 'CacheHits' | 'CacheMisses' | 'CacheBypasses') =>
      this.#own.read('request', name, { period: fiveMinutes })
    this.#alarms.add('CacheDown', 'More than a fifth of the reads bypass the cache.', {
      metric: new MathExpression({
        // A single bypassed read, such as a failover causes, means nothing.
        expression: 'IF(bypasses >= 5, 100 * bypasses / (hits + misses + bypasses), 0)',
        usingMetrics: {
          hits: read('CacheHits'),
          misses: read('CacheMisses'),
          bypasses: read('CacheBypasses'),
        },
        period: fiveMinutes,
      }),
      above: 20,
      periods: [2, 3],
    })
    this.#alarms.add('CacheDrift', 'The cache held what the database does not: its protocol was broken.', {
      metric: new MathExpression({
        expression: 'repaired + dropped',
        usingMetrics: {
          repaired: this.#own.read('revalidation', 'Repaired'),
          dropped: this.#own.read('revalidation', 'Dropped'),
        },
        period: minute,
      }),
      above: 0,
      periods: 1,
    })
  }

  #watchJobs({ functions, schedules }: Watched): void {
    this.#alarms.add('RevalidationMissing', 'The daily revalidation has not finished for more than a day.', {
      metric: this.#own.read('revalidation', 'Finished', { period: Duration.hours(1) }),
      below: 1,
      // A day, and room for runs of different lengths.
      periods: 26,
      mustReport: true,
    })
    this.#alarms.add(
      'DeadLetters',
      'A scheduled call was lost, or the daily job failed on its last attempt.',
      {
        metric: schedules.deadLetters.metricApproximateNumberOfMessagesVisible({
          period: minute,
          statistic: 'Maximum',
        }),
        above: 0,
        periods: 1,
      },
    )
    this.#alarms.add('OutboxLag', 'Changes have waited for minutes to reach Cognito or the event bus.', {
      metric: this.#own.read('outbox', 'OutboxLag', { statistic: 'Maximum' }),
      above: 60,
      periods: 10,
      mustReport: true,
    })
    this.#alarms.add('UserPoolErrors', 'The function that calls Cognito fails.', {
      metric: functions.userPool.alias.metricErrors({ period: minute, statistic: 'Sum' }),
      above: 0,
      periods: [3, 5],
    })
  }

  #watchSignIns({ functions }: Watched): void {
    this.#alarms.add(
      'BlocksLate',
      'Tokens are accepted for longer than a second after their user was blocked.',
      {
        metric: this.#own.read('sessionEnd', 'SessionOutlived', { statistic: 'p99' }),
        above: 1_000,
        periods: 1,
      },
    )
    this.#alarms.add('SignInsRefused', 'Most sign-ins are refused.', {
      metric: new MathExpression({
        expression: 'IF(refused > 20 AND refused > done, refused, 0)',
        usingMetrics: {
          refused: this.#own.read('signIn', 'SignInsRefused', { period: fiveMinutes }),
          done: this.#own.read('signIn', 'SignIns', { period: fiveMinutes }),
        },
        period: fiveMinutes,
      }),
      above: 0,
      periods: 2,
    })
    this.#alarms.add('SignInsSlow', 'Sign-ins take nearly as long as Cognito waits.', {
      metric: functions.signIn.alias.metricDuration({ period: minute, statistic: 'p99' }),
      above: 4_000,
      periods: [2, 5],
    })
  }

  /** The p99 of few requests is the slowest of them, which may have been a large image. */
  #latencyUnderLoad(version?: string): MathExpression {
    return new MathExpression({
      expression: 'IF(requests >= 20, latency, 0)',
      usingMetrics: {
        latency: this.#own.read('request', 'Latency', { statistic: 'p99', version }),
        requests: this.#own.read('request', 'Requests', { version }),
      },
      period: minute,
    })
  }
}
