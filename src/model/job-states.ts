// The kinds and states of jobs, apart from their schemas, because the tables need them without zod.

/** `undo` erases the users that an import created. */
export const jobKinds = ['import', 'export', 'undo'] as const

/** The last three are final. */
export const jobStates = ['waiting', 'running', 'done', 'failed', 'cancelled'] as const

export type JobKind = (typeof jobKinds)[number]
