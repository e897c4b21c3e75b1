// The metrics of this process for Prometheus. Loaded only with METRICS_PORT.
// Names: https://prometheus.io/docs/practices/naming. No label holds an id or a path, so the number of series is bounded.
import { performance } from 'node:perf_hooks'
import prometheus from 'prom-client'
import type { Connections } from '../../connection/open.ts'
import type { Tracer } from '../../platform/tracing/tracer.ts'
import type { SessionEnds } from '../../services/identity/session-ends.ts'
import { countJobs } from '../../services/jobs/count.ts'
import { outboxState } from '../../services/outbox/state.ts'
import type { Observe } from '../http/respond.ts'

/** The values of a process's metrics, which another process can sum. */
export type MetricValues = Awaited<ReturnType<prometheus.Registry['getMetricsAsJSON']>>

export type ServerMetrics = {
  observe: Observe
  /** Counts a request that load shedding rejected. It is not observed. */
  requestShed(): void
  /** Counts the ends that this object has seen. */
  countSessionEnds(ends: Pick<SessionEnds, 'count'>): void
  /** In Prometheus' text format. */
  text(): Promise<string>
  values(): Promise<MetricValues>
}

const durationSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** A successful answer redirects to the console. */
const signInRoute = 'GET /console/callback'

/**
 * @param options.readsDatabase the outbox and the jobs are the same for all processes, so only one reads them
 * @param options.hasReplica a read replica is configured
 */
export function openMetrics(
  { db, outbox }: Connections,
  {
    readsDatabase,
    hasReplica,
    tracer,
  }: { readsDatabase: boolean; hasReplica: boolean; tracer?: Tracer | undefined },
): ServerMetrics {
  const register = new prometheus.Registry()
  const registers = [register]
  const prefix = 'user_directory_'
  prometheus.collectDefaultMetrics({ register })

  const durations = new prometheus.Histogram({
    name: `${prefix}http_request_duration_seconds`,
    help: 'Answered requests and their durations, by route. Requests that match no route have the route none.',
    labelNames: ['method', 'route', 'status'],
    buckets: durationSeconds,
    registers,
  })
  const cacheReads = new prometheus.Counter({
    name: `${prefix}cache_reads_total`,
    help: 'Reads of a user by id, by the answer of the cache.',
    labelNames: ['result'],
    registers,
  })
  const signIns = new prometheus.Counter({
    name: `${prefix}sign_ins_total`,
    help: 'Sign-ins to the console.',
    labelNames: ['result'],
    registers,
  })
  const shed = new prometheus.Counter({
    name: `${prefix}requests_shed_total`,
    help: 'Requests rejected because the event loop was overloaded.',
    registers,
  })
  let sessionEnds: Pick<SessionEnds, 'count'> | undefined
  new prometheus.Counter({
    name: `${prefix}sessions_ended_total`,
    help: 'Sessions that a block or a new password ended, counted at their first refused request.',
    registers,
    collect() {
      this.reset()
      this.inc(sessionEnds?.count() ?? 0)
    },
  })
  new prometheus.Counter({
    name: `${prefix}event_loop_active_seconds_total`,
    help: 'Time in which the event loop was not idle.',
    registers,
    collect() {
      this.reset()
      this.inc(performance.eventLoopUtilization().active / 1_000)
    },
  })
  new prometheus.Gauge({
    name: `${prefix}database_connections`,
    help: 'Connections of the pool to PostgreSQL.',
    labelNames: ['state'],
    registers,
    collect() {
      const { connections, busy } = db.usage()
      this.set({ state: 'busy' }, busy)
      this.set({ state: 'idle' }, connections - busy)
    },
  })
  new prometheus.Gauge({
    name: `${prefix}database_calls_waiting`,
    help: 'Calls that wait for a connection to PostgreSQL.',
    registers,
    collect() {
      this.set(db.usage().waiting)
    },
  })
  if (tracer)
    new prometheus.Counter({
      name: `${prefix}trace_spans_total`,
      help: 'Spans that the collector took, and spans that were dropped.',
      labelNames: ['result'],
      registers,
      collect() {
        const { exported, dropped } = tracer.counts()
        this.reset()
        this.inc({ result: 'exported' }, exported)
        this.inc({ result: 'dropped' }, dropped)
      },
    })
  if (hasReplica) metricsOfReplica(db, prefix, register)
  if (readsDatabase) gaugesOfDatabase({ db, outbox }, prefix, register)

  const labelsOf = createLabels()
  return {
    observe: ({ route, cache }, status, durationMs) => {
      durations.observe(labelsOf(route, status), durationMs / 1_000)
      if (cache !== undefined) cacheReads.inc(cacheLabels[cache])
      if (route === signInRoute) signIns.inc(status === 302 ? accepted : refused)
    },
    requestShed: () => shed.inc(),
    countSessionEnds: (ends) => {
      sessionEnds = ends
    },
    text: () => register.metrics(),
    values: () => register.getMetricsAsJSON(),
  }
}

const cacheLabels = { hit: { result: 'hit' }, miss: { result: 'miss' }, bypass: { result: 'bypass' } }
const accepted = { result: 'accepted' }
const refused = { result: 'refused' }

function metricsOfReplica(db: Connections['db'], prefix: string, register: prometheus.Registry): void {
  const registers = [register]
  new prometheus.Gauge({
    name: `${prefix}replica_lag_seconds`,
    help: 'How old the data of the read replica is at most. Absent while that is unknown.',
    // Of the workers, which measure the same replica.
    aggregator: 'max',
    registers,
    async collect() {
      const { lagSeconds } = (await db.readReplicaState()) ?? {}
      if (lagSeconds === undefined) this.remove()
      else this.set(lagSeconds)
    },
  })
  new prometheus.Counter({
    name: `${prefix}stale_reads_total`,
    help: 'Lists whose callers accept stale data, by the server that answered.',
    labelNames: ['server'],
    registers,
    async collect() {
      const { answered = 0, passed = 0 } = (await db.readReplicaState()) ?? {}
      this.reset()
      this.inc({ server: 'replica' }, answered)
      this.inc({ server: 'primary' }, passed)
    },
  })
}

/** While the database cannot be read, these metrics are absent. */
function gaugesOfDatabase(
  ctx: Pick<Connections, 'db' | 'outbox'>,
  prefix: string,
  register: prometheus.Registry,
): void {
  const registers = [register]
  new prometheus.Gauge({
    name: `${prefix}jobs`,
    help: 'Imports and exports that wait or run.',
    labelNames: ['state'],
    registers,
    async collect() {
      this.reset()
      const counts = await countJobs(ctx).catch(() => undefined)
      if (!counts) return
      this.set({ state: 'waiting' }, counts.waiting)
      this.set({ state: 'running' }, counts.running)
      failed.set(counts.failedLastDay)
    },
  })
  const failed = new prometheus.Gauge({
    name: `${prefix}jobs_failed_last_day`,
    help: 'Imports and exports that failed within a day.',
    registers,
  })
  if (!ctx.outbox.pool && !ctx.outbox.bus) return
  const age = new prometheus.Gauge({
    name: `${prefix}outbox_oldest_age_seconds`,
    help: 'Age of the oldest change that the user pool or the event bus has not received; 0 without one.',
    registers,
  })
  new prometheus.Gauge({
    name: `${prefix}outbox_records`,
    help: 'Changes that the user pool or the event bus has not received.',
    registers,
    async collect() {
      this.reset()
      const state = await outboxState(ctx).catch(() => undefined)
      if (!state) return
      this.set(state.pending)
      age.set(state.lagSeconds)
    },
  })
}

type Labels = { method: string; route: string; status: string }

/** Keeps the labels of a route and status, so that a request allocates none. */
function createLabels(): (route: string, status: number) => Labels {
  const known = new Map<string, Map<number, Labels>>()
  return (pattern, status) => {
    let byStatus = known.get(pattern)
    if (!byStatus) {
      byStatus = new Map()
      known.set(pattern, byStatus)
    }
    let labels = byStatus.get(status)
    if (!labels) {
      const [method = '', route = 'none'] = pattern.split(' ')
      labels = { method: route === 'none' ? 'none' : method, route, status: String(status) }
      byStatus.set(status, labels)
    }
    return labels
  }
}
