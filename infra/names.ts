// Names that one stack gives and another must know beforehand.
import type { StageName } from './stages.ts'

const prefix = (stage: StageName): string => `user-directory-${stage}`

/** The functions, by what they are for. */
export type FunctionName = 'api' | 'refresh' | 'migrate' | 'sign-in' | 'deliver' | 'user-pool'

export const functionName = (stage: StageName, name: FunctionName): string => `${prefix(stage)}-${name}`

/** The alias under which each function is called. */
export const aliasName = 'live'
