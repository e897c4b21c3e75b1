// The alarms of PostgreSQL, its proxy and Valkey.
import { Duration } from 'aws-cdk-lib'
import { MathExpression } from 'aws-cdk-lib/aws-cloudwatch'
import type { Stage } from '../stages.ts'
import type { Alarms } from './alarms.ts'
import type { DataMetrics } from './data-metrics.ts'

// RDS sets `max_connections` to the instance's memory divided by this.
const bytesPerConnection = 9_531_392

export function addDataAlarms(alarms: Alarms, stage: Stage, metrics: DataMetrics): void {
  const { instanceType, storageGb, connectionsMax } = stage.database
  alarms.add('DatabaseConnections', 'More than 80 % of the database’s connections are taken.', {
    metric: metrics.database('DatabaseConnections', { statistic: 'Maximum', minutes: 1 }),
    above: connectionsMax * 0.8,
    periods: 5,
  })
  alarms.add('DatabaseStorage', 'Less than 5 % of the database’s disk is free.', {
    metric: metrics.database('FreeStorageSpace', { statistic: 'Minimum' }),
    below: storageGb * 0.05 * 1024 ** 3,
    periods: 3,
  })
  alarms.add('DatabaseCpu', 'The database’s CPU usage has been above 80 % for 15 minutes.', {
    metric: metrics.database('CPUUtilization'),
    above: 80,
    periods: 3,
  })
  alarms.add('DatabaseMemory', 'Less than 5 % of the database’s memory is free.', {
    metric: metrics.database('FreeableMemory', { statistic: 'Minimum' }),
    below: connectionsMax * bytesPerConnection * 0.05,
    periods: 3,
  })
  // Only burstable instances (class t) have CPU credits.
  if (/^t\d/.test(instanceType))
    alarms.add('DatabaseCredits', 'The database’s CPU credits run out; AWS bills for more.', {
      metric: metrics.database('CPUCreditBalance', { statistic: 'Minimum' }),
      below: 20,
      periods: 3,
    })
  alarms.add('DatabaseDiskCredits', 'The database’s disk burst credits run out; it will slow down.', {
    metric: new MathExpression({
      expression: 'MIN([operations, bytes])',
      usingMetrics: {
        operations: metrics.database('EBSIOBalance%', { statistic: 'Minimum' }),
        bytes: metrics.database('EBSByteBalance%', { statistic: 'Minimum' }),
      },
      period: Duration.minutes(5),
    }),
    below: 20,
    periods: 3,
  })
  if (stage.database.proxy) addProxyAlarms(alarms, metrics)
  addCacheAlarms(alarms, stage, metrics)
}

function addCacheAlarms(alarms: Alarms, { cacheShards = 0 }: Stage, metrics: DataMetrics): void {
  const isCluster = cacheShards > 0
  const memory = metrics.cache('DatabaseMemoryUsagePercentage', { statistic: 'Maximum' })
  for (const [at, metric] of memory.entries())
    alarms.add('CacheMemory', 'More than 90 % of the cache’s memory is used.', {
      metric,
      shard: isCluster ? at + 1 : undefined,
      above: 90,
      periods: 3,
    })
  const evictions = metrics.cache('Evictions', { statistic: 'Sum' })
  for (const [at, metric] of evictions.entries())
    alarms.add('CacheEvictions', 'The cache evicts entries before they expire: it is too small.', {
      metric,
      shard: isCluster ? at + 1 : undefined,
      above: 0,
      periods: 3,
    })
}

function addProxyAlarms(alarms: Alarms, metrics: DataMetrics): void {
  alarms.add('ProxyBorrowLatency', 'Functions wait over 100 ms for a connection from RDS Proxy.', {
    metric: metrics.proxy('DatabaseConnectionsBorrowLatency'),
    // Microseconds.
    above: 100_000,
    periods: [3, 5],
  })
  alarms.add('ProxyPinned', 'More than half of the proxy’s connections are pinned to one session each.', {
    metric: new MathExpression({
      expression: 'IF(connections >= 4, 100 * pinned / connections, 0)',
      usingMetrics: {
        pinned: metrics.proxy('DatabaseConnectionsCurrentlySessionPinned', { statistic: 'Maximum' }),
        connections: metrics.proxy('DatabaseConnections', { statistic: 'Maximum' }),
      },
      period: Duration.minutes(1),
    }),
    above: 50,
    periods: 5,
  })
}
