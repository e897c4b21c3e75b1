// The calls that move many users in.
import type { operations } from './api-types.ts'
import { itemsOf, type JsonBody, pageOf } from './calls.ts'
import { type CallOptions, type Connection, dataOf, type FileBody } from './connection.ts'
import { ConnectionError } from './errors.ts'
import { follow, type Job } from './jobs.ts'
import type { User } from './users.ts'

export type NewImport = JsonBody<'createImport'>
export type CreatedImport = operations['createImport']['responses'][201]['content']['application/json']
export type RefusedRow = ErrorPage['items'][number]

export type ErrorQuery = NonNullable<operations['listImportErrors']['parameters']['query']>
export type ErrorPage = operations['listImportErrors']['responses'][200]['content']['application/json']

export type CreatedUsersQuery = NonNullable<operations['listImportedUsers']['parameters']['query']>
export type CreatedUsersPage =
  operations['listImportedUsers']['responses'][200]['content']['application/json']

/** @param size in bytes; a store behind the API's address asks for it with a stream, which Node alone can send with it */
export type SendOptions = CallOptions & { size?: number }

export type Imports = {
  /** Creates an import, which waits for its file. */
  create(body: NewImport, options?: CallOptions): Promise<CreatedImport>
  /** Sends the file to where the import says. A stream that was cut must be sent again from its beginning. */
  sendFile(created: CreatedImport, file: FileBody, options?: SendOptions): Promise<void>
  /** Sends the second file of sources that keep hashes apart. */
  sendHashes(created: CreatedImport, file: FileBody, options?: SendOptions): Promise<void>
  start(id: string, options?: CallOptions): Promise<Job>
  get(id: string, options?: CallOptions): Promise<Job>
  /** Yields the import about each second, the last time after its end. */
  follow(id: string, options?: CallOptions): AsyncGenerator<Job, void, undefined>
  /** Imports and their undoing, the newest first. */
  list(options?: CallOptions): AsyncGenerator<Job, void, undefined>
  /** The refused rows in the order of the file, a row as often as it has faults. */
  errors(id: string, options?: CallOptions): AsyncGenerator<RefusedRow, void, undefined>
  /** One page of them, with its cursor. */
  errorPage(id: string, query?: ErrorQuery, options?: CallOptions): Promise<ErrorPage>
  /** The users that the import created, about in the order of the file, without those that were erased since. */
  users(id: string, options?: CallOptions): AsyncGenerator<User, void, undefined>
  /** One page of them, with its cursor. */
  userPage(id: string, query?: CreatedUsersQuery, options?: CallOptions): Promise<CreatedUsersPage>
  /** Starts a job that erases the users that the import created and that were not changed since. */
  undo(id: string, options?: CallOptions): Promise<Job>
  /** Committed rows stay. */
  cancel(id: string, options?: CallOptions): Promise<Job>
}

const startsMax = 3

export function createImports({ api, sendFile }: Connection): Imports {
  const init = ({ signal }: CallOptions) => (signal ? { signal } : {})
  const at = (id: string, options: CallOptions) => ({ params: { path: { id } }, ...init(options) })
  const put = async (url: string, body: FileBody, { size, ...options }: SendOptions): Promise<void> => {
    const headers = {
      'content-type': 'application/octet-stream',
      ...(size !== undefined && { 'content-length': String(size) }),
    }
    await sendFile({ method: 'PUT', url, body, headers }, options)
  }

  const imports: Imports = {
    create: (body, options = {}) => dataOf(api.POST('/import', { body, ...init(options) })),
    sendFile: ({ upload }, file, options = {}) => put(upload.url, file, options),
    sendHashes: ({ hashes_upload }, file, options = {}) => put(hashes_upload.url, file, options),
    start: async (id, options = {}) => {
      // Starting again changes nothing.
      for (let attempt = 1; ; attempt++) {
        try {
          return await dataOf(api.POST('/import/{id}/start', at(id, options)))
        } catch (error) {
          if (!(error instanceof ConnectionError) || attempt >= startsMax) throw error
        }
      }
    },
    get: (id, options = {}) => dataOf(api.GET('/import/{id}', at(id, options))),
    follow: (id, options = {}) => follow(() => imports.get(id, options), options),
    list: (options = {}) =>
      itemsOf((cursor) =>
        dataOf(api.GET('/import', { params: { query: pageOf(cursor) }, ...init(options) })),
      ),
    errors: (id, options = {}) => itemsOf((cursor) => imports.errorPage(id, pageOf(cursor), options)),
    errorPage: (id, query = {}, options = {}) =>
      dataOf(api.GET('/import/{id}/errors', { params: { path: { id }, query }, ...init(options) })),
    users: (id, options = {}) => itemsOf((cursor) => imports.userPage(id, pageOf(cursor), options)),
    userPage: (id, query = {}, options = {}) =>
      dataOf(api.GET('/import/{id}/users', { params: { path: { id }, query }, ...init(options) })),
    undo: (id, options = {}) => dataOf(api.POST('/import/{id}/undo', at(id, options))),
    cancel: (id, options = {}) => dataOf(api.DELETE('/import/{id}', at(id, options))),
  }
  return imports
}
