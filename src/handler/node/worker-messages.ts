// The messages between the primary process and its workers.
import type { MetricValues } from './metrics.ts'

/** Stop after this delay. */
export type StopOrder = { stopAfterMs: number }

/** From a worker that stops: it accepts no more connections. */
export type AcceptsNoMore = { acceptsNoMore: true }

/** No other stopping worker accepts connections any more, so end the open ones. */
export type EndConnections = { endConnections: true }

/** Answer with `MetricsReport` of the same number. */
export type MetricsRequest = { metricsRequest: number }

/** A request's answer, or without a number the last report of a worker that ends. */
export type MetricsReport = { metricsReport: number | undefined; values: MetricValues }
