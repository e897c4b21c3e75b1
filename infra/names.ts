// Names of resources that both stacks refer to.
import type { StageName } from './stages.ts'

export const prefix = (stage: StageName): string => `user-directory-${stage}`

export type FunctionName =
  | 'api'
  | 'refresh'
  | 'migrate'
  | 'sign-in'
  | 'deliver'
  | 'run-jobs'
  | 'user-pool'
  | 'openid-provider'

export const functionName = (stage: StageName, name: FunctionName): string => `${prefix(stage)}-${name}`

/** The alias through which each function is called. */
export const aliasName = 'live'

export const database = {
  name: 'directory',
  /** Owns the tables. Only the migration logs in as this role. */
  owner: 'directory_owner',
  /** The role of all other functions, which may only read and write rows. */
  service: 'directory_service',
}
