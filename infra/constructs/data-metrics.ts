// AWS's metrics of the database, its proxy and the cache.
import { Duration } from 'aws-cdk-lib'
import { type IMetric, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch'
import type { DataStack } from '../data-stack.ts'
import { prefix } from '../names.ts'
import type { StageProps } from '../stages.ts'

type Reading = { statistic?: string; minutes?: number }

export class DataMetrics {
  readonly #name: string
  readonly #cacheNodes: string[]

  constructor({ stageName, stage, data }: StageProps & { data: DataStack }) {
    this.#name = prefix(stageName)
    this.#cacheNodes = Array.from(
      { length: 1 + stage.cache.replicas },
      (_, index) => `${data.cache.name}-00${index + 1}`,
    )
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

  /** The highest value of all nodes, because a failover changes the primary. */
  cache(metricName: string, { statistic = 'Average', minutes = 5 }: Reading = {}): IMetric {
    const period = Duration.minutes(minutes)
    const nodes = this.#cacheNodes.map(
      (CacheClusterId) =>
        new Metric({
          namespace: 'AWS/ElastiCache',
          metricName,
          dimensionsMap: { CacheClusterId },
          statistic,
          period,
          label: metricName,
        }),
    )
    const [only] = nodes
    if (only && nodes.length === 1) return only
    return new MathExpression({
      expression: 'MAX(METRICS())',
      usingMetrics: Object.fromEntries(nodes.map((node, index) => [`node${index + 1}`, node])),
      period,
      label: metricName,
    })
  }
}
