// Finds and lists jobs. Imports and exports have paths of their own, but share their ids.
import {
  type Exports,
  type Imports,
  type Job,
  ProblemError,
  type UserDirectory,
} from '../../../client/src/index.ts'

type CallOptions = { signal: AbortSignal }

/** The calls are those of the job's kind. */
export type FoundJob = { job: Job; calls: Pick<Imports & Exports, 'get' | 'follow' | 'cancel'> }

/** @throws ProblemError if there is neither an import nor an export with the id */
export async function findJob(
  { imports, exports }: UserDirectory,
  id: string,
  options: CallOptions,
): Promise<FoundJob> {
  try {
    return { job: await imports.get(id, options), calls: imports }
  } catch (error) {
    if (!(error instanceof ProblemError && error.status === 404)) throw error
  }
  return { job: await exports.get(id, options), calls: exports }
}

/** All jobs, the newest first. */
export async function* listJobs(
  { imports, exports }: UserDirectory,
  options: CallOptions,
): AsyncGenerator<Job, void, undefined> {
  const [imported, exported] = [imports.list(options), exports.list(options)]
  let [entering, leaving] = await Promise.all([imported.next(), exported.next()])
  // The order of ids is the order of creation.
  for (;;)
    if (!entering.done && (leaving.done || entering.value.id > leaving.value.id)) {
      yield entering.value
      entering = await imported.next()
    } else if (!leaving.done) {
      yield leaving.value
      leaving = await exported.next()
    } else return
}
