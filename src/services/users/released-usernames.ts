// Records when a username was released by a rename or an erasure, so that older tokens of that name are rejected.
import { hash } from 'node:crypto'
import { inArray, lt, sql } from 'drizzle-orm'
import type { Queries } from '../../connection/postgres/database.ts'
import { releasedUsernames } from '../../model/tables.ts'

// Longer than a session: a refreshed token states when its session began, and Cognito's sessions last 30 days by default.
const keptDays = 31
const deletedPerReleaseMax = 100

/** Records the release of folded usernames, and deletes records that are older than any session. */
export async function releaseUsernames(queries: Queries, names: string[]): Promise<void> {
  if (names.length === 0) return
  const now = sql`clock_timestamp()`
  // In one order, so that two such statements cannot lock each other out.
  const hashes = names.map(usernameHash).sort(Buffer.compare)
  await queries
    .insert(releasedUsernames)
    .values(hashes.map((usernameSha256) => ({ usernameSha256, releasedAt: now })))
    .onConflictDoUpdate({ target: releasedUsernames.usernameSha256, set: { releasedAt: now } })
  const expired = queries
    .select({ usernameSha256: releasedUsernames.usernameSha256 })
    .from(releasedUsernames)
    .where(lt(releasedUsernames.releasedAt, sql`now() - make_interval(days => ${keptDays})`))
    .orderBy(releasedUsernames.releasedAt)
    .limit(deletedPerReleaseMax)
    .for('update', { skipLocked: true })
  await queries.delete(releasedUsernames).where(inArray(releasedUsernames.usernameSha256, expired))
}

/** Hashes a username for tables that outlive its user, so that they hold no personal data. */
export function usernameHash(usernameFolded: string): Buffer {
  return hash('sha256', usernameFolded, 'buffer')
}
