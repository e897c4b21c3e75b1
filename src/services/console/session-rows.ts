// The rows of the console's sessions in PostgreSQL. All times are the server's clock, in epoch milliseconds.
import type { Database } from '../../connection/postgres/database.ts'

export type SessionRow = { sealed: Buffer; createdAtMs: number; lastUsedAtMs: number }

export type SessionRows = {
  /** Removes the oldest rows of the person beyond a limit. */
  insert(id: Buffer, row: { sealed: Buffer; person: Buffer | undefined; nowMs: number }): Promise<void>
  find(id: Buffer): Promise<SessionRow | undefined>
  touch(id: Buffer, nowMs: number): Promise<void>
  remove(id: Buffer): Promise<void>
  /** Lets one server refresh the tokens. @returns the current tokens; undefined if another server does, or no row is left */
  leaseRefresh(id: Buffer, lease: { nowMs: number; untilMs: number }): Promise<Buffer | undefined>
  /** Ends the lease. @param sealed the new tokens; undefined keeps the present ones */
  endRefresh(id: Buffer, sealed: Buffer | undefined): Promise<void>
  /** Removes some of the sessions that were not used since then. */
  removeUnused(sinceMs: number): Promise<void>
}

// Removed with each sign-in, so that rows cannot pile up.
const removedMax = 100
/** Sessions of one person, on all devices together. */
const perPersonMax = 20

const msOf = (column: string) => `(extract(epoch FROM ${column}) * 1000)::float8`
const toInstant = (parameter: string) => `to_timestamp(${parameter}::float8 / 1000)`

const findText = `
SELECT encode(id, 'hex') AS key, sealed, ${msOf('created_at')} AS "createdAtMs", ${msOf('last_used_at')} AS "lastUsedAtMs"
FROM console_sessions WHERE id = ANY (SELECT decode(key, 'hex') FROM unnest($1::text[]) AS key)`

export function createSessionRows(db: Database): SessionRows {
  const run = async (name: string, text: string, values: unknown[]): Promise<{ sealed: Buffer }[]> =>
    db.query((queries) => queries.prepared<{ sealed: Buffer }>(`console-${name}`, text, values))
  return {
    insert: async (id, { sealed, person, nowMs }) => {
      await run(
        'insert',
        `INSERT INTO console_sessions (id, sealed, person, created_at, last_used_at)
         VALUES ($1, $2, $3, ${toInstant('$4')}, ${toInstant('$4')})`,
        [id, sealed, person ?? null, nowMs],
      )
      if (!person) return
      // A statement of its own, so that the last of concurrent sign-ins sees the rows of all.
      await run(
        'remove-oldest',
        `DELETE FROM console_sessions WHERE id IN (
           SELECT id FROM console_sessions WHERE person = $1 ORDER BY created_at DESC, id OFFSET ${perPersonMax}
         )`,
        [person],
      )
    },
    find: (id) => db.readByKey<SessionRow & { key: string }>('console-find', findText, id.toString('hex')),
    touch: async (id, nowMs) => {
      await run(
        'touch',
        `UPDATE console_sessions SET last_used_at = greatest(last_used_at, ${toInstant('$2')}) WHERE id = $1`,
        [id, nowMs],
      )
    },
    remove: async (id) => {
      await run('remove', 'DELETE FROM console_sessions WHERE id = $1', [id])
    },
    leaseRefresh: async (id, { nowMs, untilMs }) => {
      const [row] = await run(
        'lease',
        `UPDATE console_sessions SET refreshing_until = ${toInstant('$3')}
         WHERE id = $1 AND coalesce(refreshing_until <= ${toInstant('$2')}, true) RETURNING sealed`,
        [id, nowMs, untilMs],
      )
      return row?.sealed
    },
    endRefresh: async (id, sealed) => {
      await run(
        'refreshed',
        'UPDATE console_sessions SET refreshing_until = NULL, sealed = coalesce($2, sealed) WHERE id = $1',
        [id, sealed ?? null],
      )
    },
    removeUnused: async (sinceMs) => {
      await run(
        'remove-unused',
        `DELETE FROM console_sessions WHERE id IN (
           SELECT id FROM console_sessions WHERE last_used_at < ${toInstant('$1')} ORDER BY last_used_at LIMIT ${removedMax}
         )`,
        [sinceMs],
      )
    },
  }
}
