// The calls that move all users, or some, out.
import { itemsOf, type JsonBody, pageOf } from './calls.ts'
import { type CallOptions, type Connection, dataOf } from './connection.ts'
import { follow, type Job } from './jobs.ts'

export type NewExport = JsonBody<'createExport'>

export type Exports = {
  /** Starts an export. */
  create(body: NewExport, options?: CallOptions): Promise<Job>
  get(id: string, options?: CallOptions): Promise<Job>
  /** Yields the export about each second, the last time after its end. */
  follow(id: string, options?: CallOptions): AsyncGenerator<Job, void, undefined>
  /** The newest first. */
  list(options?: CallOptions): AsyncGenerator<Job, void, undefined>
  /** Stops the export and removes its file. */
  cancel(id: string, options?: CallOptions): Promise<Job>
  /** The file of an export that is done, to be read as a stream. */
  file(id: string, options?: CallOptions): Promise<ReadableStream<Uint8Array>>
}

export function createExports({ api, readFile }: Connection): Exports {
  const init = ({ signal }: CallOptions) => (signal ? { signal } : {})
  const exports: Exports = {
    create: (body, options = {}) => dataOf(api.POST('/export', { body, ...init(options) })),
    get: (id, options = {}) =>
      dataOf(api.GET('/export/{id}', { params: { path: { id } }, ...init(options) })),
    follow: (id, options = {}) => follow(() => exports.get(id, options), options),
    list: (options = {}) =>
      itemsOf((cursor) =>
        dataOf(api.GET('/export', { params: { query: pageOf(cursor) }, ...init(options) })),
      ),
    cancel: (id, options = {}) =>
      dataOf(api.DELETE('/export/{id}', { params: { path: { id } }, ...init(options) })),
    file: async (id, options = {}) => {
      const { body } = await readFile(`/export/${encodeURIComponent(id)}/file`, options)
      return body ?? new Blob([]).stream()
    },
  }
  return exports
}
