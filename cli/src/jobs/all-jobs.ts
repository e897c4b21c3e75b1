// Finds and lists jobs. Imports, exports and bulk changes have paths of their own, but share their ids.
import {
  type BulkChanges,
  type Exports,
  type Imports,
  type Job,
  ProblemError,
  type UserDirectory,
} from '../../../client/src/index.ts'

type CallOptions = { signal: AbortSignal }

/** The calls for jobs of one kind. Exports have neither errors nor an undo. */
type JobCalls = Pick<Imports & Exports & BulkChanges, 'get' | 'follow' | 'list' | 'cancel'> &
  Partial<Pick<Imports & BulkChanges, 'errors' | 'undo'>>

/** @throws ProblemError if no job has the id */
export async function findJob(
  { imports, exports, bulk }: UserDirectory,
  id: string,
  options: CallOptions,
): Promise<{ job: Job; calls: JobCalls }> {
  for (const calls of [imports, exports])
    try {
      return { job: await calls.get(id, options), calls }
    } catch (error) {
      if (!(error instanceof ProblemError && error.status === 404)) throw error
    }
  return { job: await bulk.get(id, options), calls: bulk }
}

/** All jobs, the newest first. */
export async function* listJobs(
  { imports, exports, bulk }: UserDirectory,
  options: CallOptions,
): AsyncGenerator<Job, void, undefined> {
  const lists = await Promise.all(
    [imports, exports, bulk].map(async (calls) => {
      const jobs = calls.list(options)
      return { jobs, next: await jobs.next() }
    }),
  )
  for (;;) {
    let newest: (typeof lists)[number] | undefined
    // The order of ids is the order of creation.
    for (const list of lists)
      if (!list.next.done && !(newest && !newest.next.done && newest.next.value.id > list.next.value.id))
        newest = list
    if (!newest || newest.next.done) return
    yield newest.next.value
    newest.next = await newest.jobs.next()
  }
}
