// The metrics of several workers: each worker reports its own, and the primary process sums them.
import cluster, { type Worker } from 'node:cluster'
import { setTimeout as pause } from 'node:timers/promises'
import prometheus from 'prom-client'
import type { MetricValues, ServerMetrics } from './metrics.ts'
import type { MetricsReport, MetricsRequest } from './worker-messages.ts'

/** Below the time in which Prometheus expects an answer (10 s). A worker may read PostgreSQL for it. */
const answerMsMax = 4_000

/** In a worker: answers the primary. @returns sends the last report; call it before the process ends */
export function reportMetrics(metrics: ServerMetrics): () => Promise<void> {
  const send = async (metricsReport: number | undefined): Promise<void> => {
    const report: MetricsReport = { metricsReport, values: await metrics.values() }
    // Fails if the primary is gone, and then this process ends too.
    await new Promise<void>((sent) => process.send?.(report, undefined, {}, () => sent()) ?? sent())
  }
  process.on('message', ({ metricsRequest }: Partial<MetricsRequest>) => {
    if (metricsRequest !== undefined) void send(metricsRequest)
  })
  return () => send(undefined)
}

/** In the primary. @returns reads the sum of all workers, with those that have ended, in Prometheus' text format */
export function gatherMetrics(): () => Promise<string> {
  /** The latest report of each worker. A worker that does not answer in time counts as it was. */
  const latest = new Map<Worker, MetricValues>()
  /** The counts of ended workers, because the sum of a counter must not fall. */
  let ended: object[] = []
  let request = 0
  /** The workers whose answers the current request waits for. */
  let missing = new Set<Worker>()
  let complete = (): void => {}

  const arrived = (worker: Worker): void => {
    if (missing.delete(worker) && missing.size === 0) complete()
  }
  cluster.on('message', (worker: Worker, { metricsReport, values }: Partial<MetricsReport>) => {
    if (!values) return
    latest.set(worker, values)
    if (metricsReport === request) arrived(worker)
  })
  // After `exit` the last report may still arrive.
  cluster.on('disconnect', (worker: Worker) => {
    const counts = latest.get(worker)?.filter(isCount) ?? []
    latest.delete(worker)
    ended = sum([ended, counts]).getMetricsAsArray()
    arrived(worker)
  })

  return async () => {
    const asked: MetricsRequest = { metricsRequest: ++request }
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker?.isConnected())
    missing = new Set(workers.filter((worker) => worker !== undefined))
    const answers = new Promise<void>((done) => {
      complete = done
    })
    for (const worker of missing) worker.send(asked, () => {})
    if (missing.size > 0) await Promise.race([answers, pause(answerMsMax, undefined, { ref: false })])
    return sum([ended, ...latest.values()]).metrics()
  }
}

function isCount({ type }: MetricValues[number]): boolean {
  return String(type) === 'counter' || String(type) === 'histogram'
}

function sum(reports: object[][]): prometheus.Registry {
  return prometheus.AggregatorRegistry.aggregate(reports)
}
