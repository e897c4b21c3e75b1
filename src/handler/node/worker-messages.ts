// The messages between the primary process and its workers.
import type { MetricValues } from './metrics.ts'

/** Stop after this delay. */
export type StopOrder = { stopAfterMs: number }

/** Answer with `MetricsReport` of the same number. */
export type MetricsRequest = { metricsRequest: number }

/** A request's answer, or without a number the last report of a worker that ends. */
export type MetricsReport = { metricsReport: number | undefined; values: MetricValues }
