// The calls for users.
import type { components, operations } from './api-types.ts'
import { itemsOf, type JsonBody } from './calls.ts'
import { type CallOptions, type Connection, dataOf, type FileBody } from './connection.ts'
import { ProblemError } from './errors.ts'

export type User = components['schemas']['User']
export type NewUser = JsonBody<'createUser'>
export type UserData = JsonBody<'replaceUser'>
export type UserChanges = JsonBody<'patchUser'>
export type UserQuery = NonNullable<operations['listUsers']['parameters']['query']>
export type UserPage = operations['listUsers']['responses'][200]['content']['application/json']
export type StoredAvatar = operations['uploadAvatar']['responses'][200]['content']['application/json']

/** With a version, the call fails with status 412 if the user has another one. */
export type ChangeOptions = CallOptions & { version?: number }

export type Users = {
  /** All users that match, page by page as they are read. */
  list(query?: UserQuery, options?: CallOptions): AsyncGenerator<User, void, undefined>
  /** One page, with its cursor and the total if the query asks for it. */
  page(query?: UserQuery, options?: CallOptions): Promise<UserPage>
  get(id: string, options?: CallOptions): Promise<User>
  create(user: NewUser, options?: CallOptions): Promise<User>
  /** Clears missing optional fields. */
  replace(id: string, user: UserData, options?: ChangeOptions): Promise<User>
  /** A merge patch (RFC 7396): keeps missing fields. */
  patch(id: string, changes: UserChanges, options?: ChangeOptions): Promise<User>
  /**
   * Reads the user, patches what `change` returns, and starts again if the user changed in between. Without changes to
   * make, `change` returns undefined.
   * @param options.attemptsMax five by default; then the 412 is thrown
   */
  update(
    id: string,
    change: (user: User) => UserChanges | undefined | Promise<UserChanges | undefined>,
    options?: CallOptions & { attemptsMax?: number },
  ): Promise<User>
  erase(id: string, options?: ChangeOptions): Promise<void>
  /** @param image PNG, JPEG, WebP, GIF or AVIF, of at most 5 MB */
  uploadAvatar(id: string, image: FileBody, options?: ChangeOptions): Promise<StoredAvatar>
}

export function createUsers({ api, sendFile }: Connection): Users {
  const at = (id: string, version?: number) => ({
    path: { id },
    ...(version !== undefined && { header: { 'If-Match': `"${version}"` } }),
  })
  const init = ({ signal }: CallOptions) => (signal ? { signal } : {})

  const users: Users = {
    list: (query = {}, options = {}) =>
      itemsOf(
        (cursor) => users.page(cursor === undefined ? query : { ...query, cursor }, options),
        query.cursor,
      ),
    page: (query = {}, options = {}) => dataOf(api.GET('/user', { params: { query }, ...init(options) })),
    get: (id, options = {}) => dataOf(api.GET('/user/{id}', { params: at(id), ...init(options) })),
    create: (body, options = {}) => dataOf(api.POST('/user', { body, ...init(options) })),
    replace: (id, body, options = {}) =>
      dataOf(api.PUT('/user/{id}', { params: at(id, options.version), body, ...init(options) })),
    patch: (id, body, options = {}) =>
      dataOf(api.PATCH('/user/{id}', { params: at(id, options.version), body, ...init(options) })),
    update: async (id, change, { attemptsMax = 5, ...options } = {}) => {
      for (let attempt = 1; ; attempt++) {
        const user = await users.get(id, options)
        const changes = await change(user)
        if (changes === undefined) return user
        try {
          return await users.patch(id, changes, { ...options, version: user.version })
        } catch (error) {
          const isStale = error instanceof ProblemError && error.status === 412
          if (!isStale || attempt >= attemptsMax) throw error
        }
      }
    },
    erase: async (id, options = {}) => {
      await dataOf(api.DELETE('/user/{id}', { params: at(id, options.version), ...init(options) }))
    },
    uploadAvatar: async (id, image, options = {}) => {
      // The service recognises the format by its bytes.
      const headers = {
        'content-type': 'image/*',
        ...(options.version !== undefined && { 'if-match': `"${options.version}"` }),
      }
      const url = `/upload/${encodeURIComponent(id)}`
      const response = await sendFile({ method: 'POST', url, body: image, headers }, options)
      return (await response.json()) as StoredAvatar
    },
  }
  return users
}
