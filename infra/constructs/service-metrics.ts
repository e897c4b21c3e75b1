// The service's own metrics, as listed in src/platform/metrics.ts.
import { Duration } from 'aws-cdk-lib'
import { Metric } from 'aws-cdk-lib/aws-cloudwatch'
import { metrics, namespace } from '../../src/platform/metrics.ts'
import type { StageName } from '../stages.ts'

type Kind = keyof typeof metrics

type Reading = {
  /** `Sum` if absent. */
  statistic?: string
  /** A minute if absent. */
  period?: Duration
  /** Limits the metric to one version of the function. */
  version?: string
}

export class ServiceMetrics {
  readonly #stage: StageName

  constructor(stage: StageName) {
    this.#stage = stage
  }

  read<K extends Kind>(
    kind: K,
    name: Extract<keyof (typeof metrics)[K]['units'], string>,
    { statistic = 'Sum', period = Duration.minutes(1), version }: Reading = {},
  ): Metric {
    return new Metric({
      namespace,
      metricName: name,
      dimensionsMap: {
        ...metrics[kind].dimensions,
        Stage: this.#stage,
        ...(version !== undefined && { Version: version }),
      },
      statistic,
      period,
      label: name,
    })
  }
}
