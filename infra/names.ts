// Names that one stack gives and another must know beforehand.
import type { StageName } from './stages.ts'

export const prefix = (stage: StageName): string => `user-directory-${stage}`

/** The functions, by what they are for. */
export type FunctionName = 'api' | 'refresh' | 'migrate' | 'sign-in' | 'deliver' | 'user-pool'

export const functionName = (stage: StageName, name: FunctionName): string => `${prefix(stage)}-${name}`

/** The alias under which each function is called. */
export const aliasName = 'live'

export const database = {
  name: 'directory',
  /** Owns the tables; the migrations alone log in as it. */
  owner: 'directory_owner',
  /** What all other functions log in as: it reads and writes rows and nothing else. */
  service: 'directory_service',
}
