// The inputs of the work of a job.
import type { Session } from '../../connection/postgres/database.ts'
import type { ServiceContext } from '../context.ts'
import type { ClaimedJob } from './lease.ts'

/** The share of jobs in the queues for hashes and images. */
export const jobShare = 'job'

/** Connections of a job: those of the service, and a session that it shares with nothing else. */
export type JobRun = {
  ctx: ServiceContext
  job: ClaimedJob
  session: Session
  /** Aborts when the process stops, or the lease is lost. The work then throws. */
  signal: AbortSignal
}
