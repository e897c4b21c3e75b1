// Monitoring of a stage: the alarms of the service, those of its data stores, and the dashboard.
import { Duration } from 'aws-cdk-lib'
import { type Alarm, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch'
import type { Topic } from 'aws-cdk-lib/aws-sns'
import { Construct } from 'constructs'
import type { DataStack } from '../data-stack.ts'
import type { StageProps } from '../stages.ts'
import { Alarms } from './alarms.ts'
import { addDashboard, type Monitored } from './dashboard.ts'
import { addDataAlarms } from './data-alarms.ts'
import { DataMetrics } from './data-metrics.ts'
import { ServiceMetrics } from './service-metrics.ts'

const minute = Duration.minutes(1)
const fiveMinutes = Duration.minutes(5)

export class Monitoring extends Construct {
  readonly topic: Topic
  /** The alarms that roll back a new version of the API. */
  readonly canaryAlarms: Alarm[]
  readonly #alarms: Alarms
  readonly #service: ServiceMetrics

  constructor(
    scope: Construct,
    id: string,
    { stageName, stage, data, ...service }: StageProps & { data: DataStack } & Monitored,
  ) {
    super(scope, id)
    const monitored = { stageName, ...service }
    this.#alarms = new Alarms(this, 'Alarms', { stageName, stage })
    this.topic = this.#alarms.topic
    this.#service = new ServiceMetrics(stageName)
    this.canaryAlarms = this.#addCanaryAlarms(monitored)
    this.#addApiAlarms(monitored)
    this.#addCacheAlarms()
    this.#addJobAlarms(monitored)
    this.#addSignInAlarms(monitored)
    const dataMetrics = new DataMetrics({ stageName, stage, data })
    addDataAlarms(this.#alarms, stage, dataMetrics)
    addDashboard(this, monitored, { service: this.#service, data: dataMetrics })
  }

  /** They cover the new version only, so that a fix can be deployed while the old version's alarms are active. */
  #addCanaryAlarms({ functions: { api } }: Monitored): Alarm[] {
    const { version } = api.function.currentVersion
    return [
      this.#alarms.add('NewVersionCrashes', 'The API’s new version crashes or times out.', {
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
      this.#alarms.add('NewVersionErrors', 'The API’s new version answers with 500.', {
        metric: this.#service.read('request', 'ServerErrors', { version }),
        above: 0,
        periods: 1,
      }),
      this.#alarms.add('NewVersionLatency', 'The new version’s p99 latency is above a second.', {
        metric: this.#latencyUnderLoad(version),
        above: 1_000,
        periods: [2, 5],
      }),
    ]
  }

  #addApiAlarms({ functions, api }: Monitored): void {
    this.#alarms.add('Crashes', 'The API’s function crashes or times out.', {
      metric: functions.api.alias.metricErrors({ period: minute, statistic: 'Sum' }),
      above: 0,
      periods: 1,
    })
    this.#alarms.add('ServerErrors', 'The API answers with 500.', {
      metric: this.#service.read('request', 'ServerErrors'),
      above: 0,
      periods: 1,
    })
    this.#alarms.add('Latency', 'The API’s p99 latency is above a second.', {
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
    this.#alarms.add(
      'Refused',
      'The API answers with 503 or 429: it is overloaded, or a dependency is down.',
      {
        metric: this.#service.read('request', 'Refused'),
        above: 10,
        periods: [3, 5],
      },
    )
    this.#alarms.add('Throttles', 'Lambda throttles the API or sign-ins.', {
      metric: new MathExpression({
        // A function without calls has no data points.
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

  #addCacheAlarms(): void {
    const read = (name: 'CacheHits' | 'CacheMisses' | 'CacheBypasses') =>
      this.#service.read('request', name, { period: fiveMinutes })
    this.#alarms.add('CacheDown', 'More than a fifth of the reads bypass the cache.', {
      metric: new MathExpression({
        // Single bypasses are normal, for example during a failover.
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
    this.#alarms.add(
      'CacheDrift',
      'The cache held entries that differ from the database: its protocol failed.',
      {
        metric: new MathExpression({
          expression: 'repaired + dropped',
          usingMetrics: {
            repaired: this.#service.read('revalidation', 'Repaired'),
            dropped: this.#service.read('revalidation', 'Dropped'),
          },
          period: minute,
        }),
        above: 0,
        periods: 1,
      },
    )
  }

  #addJobAlarms({ functions, schedules }: Monitored): void {
    this.#alarms.add('RevalidationMissing', 'The daily revalidation has not finished for more than a day.', {
      metric: this.#service.read('revalidation', 'Finished', { period: Duration.hours(1) }),
      below: 1,
      // A day, and room for runs of different duration.
      periods: 26,
      mustReport: true,
    })
    this.#alarms.add('DeadLetters', 'A scheduled call was lost, or the daily job’s last attempt failed.', {
      metric: schedules.deadLetters.metricApproximateNumberOfMessagesVisible({
        period: minute,
        statistic: 'Maximum',
      }),
      above: 0,
      periods: 1,
    })
    this.#alarms.add('OutboxLag', 'Changes have waited over a minute for Cognito or the event bus.', {
      metric: this.#service.read('outbox', 'OutboxLag', { statistic: 'Maximum' }),
      above: 60,
      periods: 10,
      mustReport: true,
    })
    this.#alarms.add(
      'JobsFailed',
      'An internal error ended an import, export or bulk change, or its function crashes.',
      {
        metric: new MathExpression({
          expression: 'FILL(failed, 0) + FILL(crashes, 0)',
          usingMetrics: {
            failed: this.#service.read('jobs', 'JobsFailed'),
            crashes: functions.runJobs.alias.metricErrors({ period: minute, statistic: 'Sum' }),
          },
          period: minute,
        }),
        above: 0,
        periods: 1,
      },
    )
    this.#alarms.add('JobsMissing', 'Nothing runs imports, exports and bulk changes.', {
      // A run takes up to 15 minutes, and with reserved concurrency no other starts meanwhile.
      metric: functions.runJobs.alias.metricInvocations({ period: Duration.minutes(30), statistic: 'Sum' }),
      below: 1,
      periods: 1,
      mustReport: true,
    })
    this.#alarms.add('OpenIdProviderErrors', 'The function behind the console’s sign-in fails.', {
      metric: functions.openIdProvider.alias.metricErrors({ period: minute, statistic: 'Sum' }),
      above: 0,
      periods: [3, 5],
    })
    this.#alarms.add('UserPoolErrors', 'The function that calls Cognito fails.', {
      metric: functions.userPool.alias.metricErrors({ period: minute, statistic: 'Sum' }),
      above: 0,
      periods: [3, 5],
    })
  }

  #addSignInAlarms({ functions }: Monitored): void {
    this.#alarms.add('BlocksLate', 'Tokens are accepted for over a second after their user was blocked.', {
      metric: this.#service.read('sessionEnd', 'SessionOutlived', { statistic: 'p99' }),
      above: 1_000,
      periods: 1,
    })
    this.#alarms.add('SignInsRefused', 'Most sign-ins are rejected.', {
      metric: new MathExpression({
        expression: 'IF(rejected > 20 AND rejected > accepted, rejected, 0)',
        usingMetrics: {
          rejected: this.#service.read('signIn', 'SignInsRefused', { period: fiveMinutes }),
          accepted: this.#service.read('signIn', 'SignIns', { period: fiveMinutes }),
        },
        period: fiveMinutes,
      }),
      above: 0,
      periods: 2,
    })
    this.#alarms.add('SignInsSlow', 'Sign-ins take almost as long as Cognito’s time limit.', {
      metric: functions.signIn.alias.metricDuration({ period: minute, statistic: 'p99' }),
      above: 4_000,
      periods: [2, 5],
    })
  }

  /** Ignores quiet minutes: the p99 of a few requests is their slowest, possibly a large image. */
  #latencyUnderLoad(version?: string): MathExpression {
    return new MathExpression({
      expression: 'IF(requests >= 20, latency, 0)',
      usingMetrics: {
        latency: this.#service.read('request', 'Latency', { statistic: 'p99', version }),
        requests: this.#service.read('request', 'Requests', { version }),
      },
      period: minute,
    })
  }
}
