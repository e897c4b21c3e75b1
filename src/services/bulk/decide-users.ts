// Decides what a bulk change, or its undoing, does with the users of a chunk.
import { type SQL, sql } from 'drizzle-orm'
import type { Queries } from '../../connection/postgres/database.ts'
import { type AttributesPatch, attributesFault, mergeAttributes } from '../../model/attributes.ts'
import type { Status } from '../../model/user.ts'
import { changedSince } from '../import/run-undo.ts'
import { type Decisions, noDecisions } from '../jobs/commit-users.ts'
import type { JobRow } from '../jobs/job-row.ts'
import { whereOf } from '../users/conditions.ts'
import { type ChangedUser, changedUser, readUsers } from '../users/many-users.ts'
import type { StoredUser } from '../users/write-transaction.ts'
import { checkCreator, isCreator } from './creator.ts'

export type UserPatch = { status?: Status; attributes?: AttributesPatch }

export type WantedChange = {
  id: string
  patch: UserPatch | 'erase'
  /** Other versions of the user are kept. */
  version?: number | undefined
}

/**
 * Locks the users.
 * @param options.conditions that each must still meet
 * @throws ServiceError `forbidden` if the creator of the job has lost the access
 */
export async function decideUsers(
  queries: Queries,
  wanted: WantedChange[],
  { job, conditions }: { job: JobRow; conditions: SQL[] | undefined },
): Promise<Decisions> {
  const ids = wanted.map(({ id }) => id)
  const stored = await readUsers(queries, ids, true)
  const matching = conditions && (await stillMatching(queries, ids, conditions))
  await checkCreator(queries, job)
  const now = await readClock(queries)
  const decisions = noDecisions()
  for (const { id, patch, version } of wanted) {
    const user = stored.get(id)
    if (!user || (matching && !matching.has(id))) {
      decisions.skipped++
      continue
    }
    const reason = keptReason(user, { patch, version, job })
    if (reason !== undefined) decisions.kept.push({ user, reason })
    else if (patch === 'erase') decisions.erased.push(user)
    else {
      const change = changedUser(user, applied(user, patch), now)
      if (change) decisions.changed.push(change)
      else decisions.unchanged++
    }
  }
  return decisions
}

/** The patch that takes a change back. */
export function restoringPatch({ before }: ChangedUser, { status, attributes }: UserPatch): UserPatch {
  if (status !== undefined) return { status: before.status }
  const keys = Object.keys(attributes ?? {})
  return { attributes: Object.fromEntries(keys.map((key) => [key, before.attributes[key] ?? null])) }
}

function applied(user: StoredUser, { status, attributes }: UserPatch): Partial<StoredUser> {
  return {
    ...(status !== undefined && { status }),
    ...(attributes && { attributes: mergeAttributes(user.attributes, attributes) }),
  }
}

function keptReason(
  user: StoredUser,
  { patch, version, job }: Omit<WantedChange, 'id'> & { job: JobRow },
): string | undefined {
  if (version !== undefined && user.version !== version) return changedSince(user)
  const endsAccess = patch === 'erase' || patch.status === 'BLOCKED'
  if (endsAccess && isCreator(job, user)) return 'it is the account that created the job'
  const attributes = patch !== 'erase' && applied(user, patch).attributes
  const fault = attributes ? attributesFault(attributes) : undefined
  return fault && `its attributes ${fault}`
}

/** Evaluated for the given rows alone, because a plan by the filters' indexes would find every match again. */
async function stillMatching(queries: Queries, ids: string[], conditions: SQL[]): Promise<Set<string>> {
  const { rows } = await queries.execute<{ id: string }>(sql`
    WITH u AS MATERIALIZED (SELECT * FROM users WHERE id = ANY(${sql.param(ids)}::uuid[]))
    SELECT u.id FROM u ${whereOf(conditions)}`)
  return new Set(rows.map(({ id }) => id))
}

async function readClock(queries: Queries): Promise<Date> {
  const [clock] = await queries.unprepared<{ now: Date }>(
    'SELECT clock_timestamp()::timestamptz(3) AS now',
    [],
  )
  return clock?.now ?? new Date()
}
