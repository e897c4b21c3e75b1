// The kinds and states of jobs, apart from their schemas, because the tables need them without zod.

/** `undo` erases the users that an import created; `bulk_undo` restores what a bulk change changed. */
export const jobKinds = ['import', 'export', 'undo', 'bulk', 'bulk_undo'] as const

/** The last three are final. */
export const jobStates = ['waiting', 'running', 'done', 'failed', 'cancelled'] as const

/**
 * Jobs of one lane run one at a time, because two would share the same processors and disks. The lanes run beside each
 * other, because a block must not wait for an import.
 */
export const jobLanes = [
  ['import', 'export', 'undo'],
  ['bulk', 'bulk_undo'],
] as const satisfies JobKind[][]

export type JobLane = (typeof jobLanes)[number]
export type JobKind = (typeof jobKinds)[number]
