// The client of the user directory's API.
import { type BulkChanges, createBulkChanges } from './bulk.ts'
import { type Connection, type Options, openConnection } from './connection.ts'
import { createExports, type Exports } from './exports.ts'
import { createImports, type Imports } from './imports.ts'
import { createUsers, type Users } from './users.ts'

export type { components, operations, paths } from './api-types.ts'
export type { BulkChanges, KeptUser, NewBulkChange } from './bulk.ts'
export type { CallOptions, FileBody, Options } from './connection.ts'
export { detectFormat } from './detect-format.ts'
export { ConnectionError, type Fault, ProblemError } from './errors.ts'
export type { Exports, NewExport } from './exports.ts'
export type { CreatedImport, Imports, NewImport, RefusedRow } from './imports.ts'
export { hasEnded, type Job } from './jobs.ts'
export type {
  ChangeOptions,
  NewUser,
  StoredAvatar,
  User,
  UserChanges,
  UserData,
  UserPage,
  UserQuery,
  Users,
} from './users.ts'

export type UserDirectory = {
  users: Users
  imports: Imports
  exports: Exports
  bulk: BulkChanges
  /** The typed calls of openapi-fetch, with the same token, time limit and retries. */
  api: Connection['api']
}

export function openUserDirectory(options: Options): UserDirectory {
  const connection = openConnection(options)
  return {
    api: connection.api,
    users: createUsers(connection),
    imports: createImports(connection),
    exports: createExports(connection),
    bulk: createBulkChanges(connection),
  }
}
