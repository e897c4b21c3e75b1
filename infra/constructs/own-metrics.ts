// The service's own metrics, by the catalogue that its log lines are made from.
import { Duration } from 'aws-cdk-lib'
import { Metric } from 'aws-cdk-lib/aws-cloudwatch'
import { metrics, namespace } from '../../src/platform/metrics.ts'
import type { StageName } from '../stages.ts'

type Kind = keyof typeof metrics

type Reading = {
  /** `Sum` when absent. */
  statistic?: string
  /** A minute when absent. */
  period?: Duration
  /** Of one version of the function only. */
  version?: string
}

export class OwnMetrics {
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
