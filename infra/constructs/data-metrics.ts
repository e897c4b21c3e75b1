// AWS's metrics of the database, its proxy and the cache.
import { Duration } from 'aws-cdk-lib'
import { type IMetric, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch'
import type { DataStack } from '../data-stack.ts'
import { prefix } from '../names.ts'
import type { Stage, StageProps } from '../stages.ts'

type Reading = { statistic?: string; minutes?: number }

export class DataMetrics {
  readonly #name: string
  readonly #cacheName: string
  readonly #cacheShards: string[][]

  constructor({ stageName, stage, data }: StageProps & { data: DataStack }) {
    this.#name = prefix(stageName)
    this.#cacheName = data.cache.name
    this.#cacheShards = cacheNodes(stage)
  }

  database(metricName: string, { statistic = 'Average', minutes = 5 }: Reading = {}): Metric {
    return new Metric({
      namespace: 'AWS/RDS',
      metricName,
      dimensionsMap: { DBInstanceIdentifier: this.#name },
      statistic,
      period: Duration.minutes(minutes),
      label: metricName,
    })
  }

  proxy(metricName: string, { statistic = 'Average', minutes = 1 }: Reading = {}): Metric {
    return new Metric({
      namespace: 'AWS/RDS',
      metricName,
      dimensionsMap: { ProxyName: this.#name },
      statistic,
      period: Duration.minutes(minutes),
      label: metricName,
    })
  }

  /** For each shard the highest value of its nodes, because a failover changes the primary. A single server is one shard. */
  cache(metricName: string, { statistic = 'Average', minutes = 5 }: Reading = {}): IMetric[] {
    const period = Duration.minutes(minutes)
    return this.#cacheShards.map((nodes, index) => {
      const label = this.#cacheShards.length === 1 ? metricName : `${metricName}, shard ${index + 1}`
      const metrics = nodes.map(
        (node) =>
          new Metric({
            namespace: 'AWS/ElastiCache',
            metricName,
            dimensionsMap: { CacheClusterId: `${this.#cacheName}-${node}` },
            statistic,
            period,
            label,
          }),
      )
      const [only] = metrics
      if (only && metrics.length === 1) return only
      return new MathExpression({
        expression: 'MAX(METRICS())',
        // Each id is unique in a graph.
        usingMetrics: Object.fromEntries(
          metrics.map((metric, at) => [`node${nodes[at]?.replace('-', '_')}`, metric]),
        ),
        period,
        label,
      })
    })
  }
}

/**
 * By shard, how AWS ends the ids of its nodes: `001` for a single server, `0001-001` in a cluster.
 * https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Shards.html
 */
function cacheNodes({ cache: { replicas }, cacheShards = 0 }: Stage): string[][] {
  const nodes = numbers(1 + replicas, 3)
  if (cacheShards === 0) return [nodes]
  return numbers(cacheShards, 4).map((shard) => nodes.map((node) => `${shard}-${node}`))
}

function numbers(count: number, digits: number): string[] {
  return Array.from({ length: count }, (_, at) => String(at + 1).padStart(digits, '0'))
}
