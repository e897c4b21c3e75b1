// The CloudWatch dashboard of a stage.
import { Duration } from 'aws-cdk-lib'
import { Dashboard, GraphWidget, type IMetric, Metric } from 'aws-cdk-lib/aws-cloudwatch'
import type { Construct } from 'constructs'
import { prefix } from '../names.ts'
import type { StageName } from '../stages.ts'
import type { Api } from './api.ts'
import type { DataMetrics } from './data-metrics.ts'
import type { Functions } from './functions.ts'
import type { Schedules } from './schedules.ts'
import type { ServiceMetrics } from './service-metrics.ts'
import type { Site } from './site.ts'

const minute = Duration.minutes(1)
const hour = Duration.hours(1)

/** The parts of the service stack that are monitored. */
export type Monitored = {
  stageName: StageName
  functions: Functions
  api: Api
  site: Site
  schedules: Schedules
}

export function addDashboard(
  scope: Construct,
  { stageName, functions, api, site }: Monitored,
  { service, data }: { service: ServiceMetrics; data: DataMetrics },
): void {
  const graph = (title: string, ...left: IMetric[]) => new GraphWidget({ title, left, width: 8, height: 6 })
  const invocations = [functions.api, functions.signIn].map(
    ({ function: { functionName } }) =>
      new Metric({
        namespace: 'AWS/Lambda',
        metricName: 'ConcurrentExecutions',
        dimensionsMap: { FunctionName: functionName },
        statistic: 'Maximum',
        period: minute,
      }),
  )
  const ofSite = (metricName: string, statistic: string) =>
    new Metric({
      namespace: 'AWS/CloudFront',
      metricName,
      dimensionsMap: { DistributionId: site.distribution.distributionId, Region: 'Global' },
      // CloudFront reports there, wherever the stage is.
      region: 'us-east-1',
      statistic,
      period: minute,
    })
  const firewall = api.firewall?.metricsBlocked()
  new Dashboard(scope, 'Dashboard', {
    dashboardName: prefix(stageName),
    widgets: [
      [
        graph('Requests', service.read('request', 'Requests'), service.read('request', 'Refused')),
        graph(
          'Latency, ms',
          service.read('request', 'Latency', { statistic: 'p50' }),
          service.read('request', 'Latency', { statistic: 'p99' }),
        ),
        graph(
          'Errors',
          service.read('request', 'ServerErrors'),
          api.rest.metricServerError({ period: minute, statistic: 'Sum' }),
          functions.api.alias.metricErrors({ period: minute }),
        ),
      ],
      [
        graph(
          'Cache',
          service.read('request', 'CacheHits'),
          service.read('request', 'CacheMisses'),
          service.read('request', 'CacheBypasses'),
        ),
        graph('Cache memory, %', ...data.cache('DatabaseMemoryUsagePercentage', { statistic: 'Maximum' })),
        graph('Cache evictions', ...data.cache('Evictions', { statistic: 'Sum' })),
      ],
      [
        graph('Database, %', data.database('CPUUtilization'), data.database('EBSIOBalance%')),
        graph(
          'Database connections',
          data.database('DatabaseConnections', { statistic: 'Maximum' }),
          data.proxy('DatabaseConnectionsCurrentlySessionPinned', { statistic: 'Maximum' }),
        ),
        graph('Time to get a connection, µs', data.proxy('DatabaseConnectionsBorrowLatency')),
      ],
      [
        graph(
          'Outbox',
          service.read('outbox', 'OutboxPending', { statistic: 'Maximum' }),
          service.read('outbox', 'OutboxLag', { statistic: 'Maximum' }),
        ),
        graph('Sign-ins', service.read('signIn', 'SignIns'), service.read('signIn', 'SignInsRefused')),
        graph(
          'Tokens accepted after a block, ms',
          service.read('sessionEnd', 'SessionOutlived', { statistic: 'Maximum' }),
          service.read('sessionEnd', 'SessionOutlived', { statistic: 'p99' }),
        ),
      ],
      [
        graph('Concurrent invocations', ...invocations),
        graph(
          'Daily revalidation',
          ...(['Scanned', 'Fresh', 'Repaired', 'Dropped', 'Orphans'] as const).map((name) =>
            service.read('revalidation', name, { period: hour }),
          ),
        ),
        graph(
          'Revalidation time, ms',
          service.read('revalidation', 'Duration', { statistic: 'Maximum', period: hour }),
        ),
      ],
      [
        graph('Console, API and avatars: requests', ofSite('Requests', 'Sum')),
        graph(
          'Console, API and avatars: errors, %',
          ofSite('4xxErrorRate', 'Average'),
          ofSite('5xxErrorRate', 'Average'),
        ),
        graph(
          'Console’s sign-in: calls, errors',
          functions.openIdProvider.alias.metricInvocations({ period: minute }),
          functions.openIdProvider.alias.metricErrors({ period: minute }),
        ),
      ],
      firewall ? [graph('Firewall, blocked requests', ...firewall)] : [],
    ],
  })
}
