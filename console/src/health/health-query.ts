// The state of the service, as the server reports it.
import { queryOptions } from '@tanstack/react-query'
import { callBackend } from '../api/session.ts'

export type Minute = {
  /** The start of the minute. */
  at: string
  requests: number
  errors: number
  p95_ms: number | null
  hits: number
  misses: number
  bypasses: number
}

type State = 'up' | 'read-only' | 'down'

export type Health = {
  ready: {
    status: 'ready' | 'not ready'
    dependencies: { database: State; cache: State; avatars: State }
    outbox?: { state: 'up' | 'lagging' | 'unknown'; pending?: number; oldest_seconds?: number }
  }
  /** Null if the database does not answer. */
  jobs: { waiting: number; running: number; failed_last_day: number } | null
  /** Null before the first has finished, or if the database does not answer. */
  revalidation: {
    finished_at: string
    scanned: number
    repaired: number
    dropped: number
    orphans: number
  } | null
  process: {
    started_at: string
    /** How many processes share the server's port; the figures are of one. */
    workers: number
    sessions_ended: number
    minutes: Minute[]
  }
}

const refreshMs = 15_000

export const healthQuery = queryOptions({
  queryKey: ['health'],
  queryFn: async ({ signal }) => (await callBackend('/console/health', { signal })) as Health,
  refetchInterval: refreshMs,
})
