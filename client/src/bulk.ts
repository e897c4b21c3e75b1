// The calls that change all users that filters match, or that ids name.
import type { operations } from './api-types.ts'
import { itemsOf, type JsonBody, pageOf } from './calls.ts'
import { type CallOptions, type Connection, dataOf } from './connection.ts'
import { follow, type Job } from './jobs.ts'

export type NewBulkChange = JsonBody<'createBulk'>
export type KeptUser =
  operations['listBulkErrors']['responses'][200]['content']['application/json']['items'][number]

export type BulkChanges = {
  /** Starts a bulk change. */
  create(body: NewBulkChange, options?: CallOptions): Promise<Job>
  get(id: string, options?: CallOptions): Promise<Job>
  /** Yields the job about each second, the last time after its end. */
  follow(id: string, options?: CallOptions): AsyncGenerator<Job, void, undefined>
  /** Bulk changes and their undoing, the newest first. */
  list(options?: CallOptions): AsyncGenerator<Job, void, undefined>
  /** The users that were kept, and why. */
  errors(id: string, options?: CallOptions): AsyncGenerator<KeptUser, void, undefined>
  /** Starts a job that restores the users that were not changed since. */
  undo(id: string, options?: CallOptions): Promise<Job>
  /** Committed changes stay. */
  cancel(id: string, options?: CallOptions): Promise<Job>
}

export function createBulkChanges({ api }: Connection): BulkChanges {
  const init = ({ signal }: CallOptions) => (signal ? { signal } : {})
  const at = (id: string, options: CallOptions) => ({ params: { path: { id } }, ...init(options) })
  const bulk: BulkChanges = {
    create: (body, options = {}) => dataOf(api.POST('/bulk', { body, ...init(options) })),
    get: (id, options = {}) => dataOf(api.GET('/bulk/{id}', at(id, options))),
    follow: (id, options = {}) => follow(() => bulk.get(id, options), options),
    list: (options = {}) =>
      itemsOf((cursor) => dataOf(api.GET('/bulk', { params: { query: pageOf(cursor) }, ...init(options) }))),
    errors: (id, options = {}) =>
      itemsOf((cursor) => {
        const params = { path: { id }, query: pageOf(cursor) }
        return dataOf(api.GET('/bulk/{id}/errors', { params, ...init(options) }))
      }),
    undo: (id, options = {}) => dataOf(api.POST('/bulk/{id}/undo', at(id, options))),
    cancel: (id, options = {}) => dataOf(api.DELETE('/bulk/{id}', at(id, options))),
  }
  return bulk
}
