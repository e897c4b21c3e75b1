// A stage's dashboard.
import { Duration } from 'aws-cdk-lib'
import { Dashboard, GraphWidget, type IMetric, Metric } from 'aws-cdk-lib/aws-cloudwatch'
import type { Construct } from 'constructs'
import { prefix } from '../names.ts'
import type { DataMetrics } from './data-metrics.ts'
import type { OwnMetrics } from './own-metrics.ts'
import type { Watched } from './watch.ts'

const minute = Duration.minutes(1)
const hour = Duration.hours(1)

export function addDashboard(
  scope: Construct,
  { stageName, functions, api }: Watched,
  own: OwnMetrics,
  data: DataMetrics,
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
  const firewall = api.firewall?.metricsBlocked()
  new Dashboard(scope, 'Dashboard', {
    dashboardName: prefix(stageName),
    widgets: [
      [
        graph('Requests', own.read('request', 'Requests'), own.read('request', 'Refused')),
        graph(
          'Latency, ms',
          own.read('request', 'Latency', { statistic: 'p50' }),
          own.read('request', 'Latency', { statistic: 'p99' }),
        ),
        graph(
          'Errors',
          own.read('request', 'ServerErrors'),
          api.rest.metricServerError({ period: minute, statistic: 'Sum' }),
          functions.api.alias.metricErrors({ period: minute }),
        ),
      ],
      [
        graph(
          'Cache',
          own.read('request', 'CacheHits'),
          own.read('request', 'CacheMisses'),
          own.read('request', 'CacheBypasses'),
        ),
        graph('Cache memory, %', data.cache('DatabaseMemoryUsagePercentage', { statistic: 'Maximum' })),
        graph('Cache evictions', data.cache('Evictions', { statistic: 'Sum' })),
      ],
      [
        graph('Database, %', data.database('CPUUtilization'), data.database('EBSIOBalance%')),
        graph(
          'Database connections',
          data.database('DatabaseConnections', { statistic: 'Maximum' }),
          data.proxy('DatabaseConnectionsCurrentlySessionPinned', { statistic: 'Maximum' }),
        ),
        graph('Wait for a connection, µs', data.proxy('DatabaseConnectionsBorrowLatency')),
      ],
      [
        graph(
          'Outbox',
          own.read('outbox', 'OutboxPending', { statistic: 'Maximum' }),
          own.read('outbox', 'OutboxLag', { statistic: 'Maximum' }),
        ),
        graph('Sign-ins', own.read('signIn', 'SignIns'), own.read('signIn', 'SignInsRefused')),
        graph(
          'Tokens accepted after a block, ms',
          own.read('sessionEnd', 'SessionOutlived', { statistic: 'Maximum' }),
          own.read('sessionEnd', 'SessionOutlived', { statistic: 'p99' }),
        ),
      ],
      [
        graph('Concurrent invocations', ...invocations),
        graph(
          'Daily revalidation',
          ...(['Scanned', 'Fresh', 'Repaired', 'Dropped', 'Orphans'] as const).map((name) =>
            own.read('revalidation', name, { period: hour }),
          ),
        ),
        graph(
          'Its duration, ms',
          own.read('revalidation', 'Duration', { statistic: 'Maximum', period: hour }),
        ),
      ],
      firewall ? [graph('Firewall, blocked requests', ...firewall)] : [],
    ],
  })
}
