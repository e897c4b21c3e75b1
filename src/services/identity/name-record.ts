// Selects and encodes the record of a username: its user, and since when its sessions are valid.
import type { Entry } from '../../connection/cache/cache.ts'
import type { Keyed } from '../../connection/postgres/dataloader.ts'
import { decodeEntry, encodeEntry } from '../cache-entry.ts'

export type NameRecord = {
  /** The user who has the name. */
  user?: { id: string; username: string; isBlocked: boolean }
  /** The last block, change of password or release of the name: sessions from before it have ended. */
  validFromMs?: number
}

/** A row of `selectNameRecords`. */
export type NameRow = Keyed & {
  id: string | null
  username: string | null
  status: string | null
  validFrom: Date | null
}

/**
 * Selects the rows of folded usernames, `$1`, in one statement, which sees one state of the database.
 * @param more further columns of `asked`, `u` or `f`, after a comma
 */
export const selectNameRecords = (more = '') => `
SELECT asked.name AS key, u.id, u.username, u.status, greatest(u.sessions_valid_from, f.released_at) AS "validFrom" ${more}
FROM unnest($1::text[]) AS asked (name)
LEFT JOIN users u ON u.username_folded = asked.name
LEFT JOIN released_usernames f ON f.username_sha256 = sha256(convert_to(asked.name, 'UTF8'))`

export function toNameRecord({ id, username, status, validFrom }: NameRow): NameRecord {
  return {
    ...(id !== null && username !== null && { user: { id, username, isBlocked: status === 'BLOCKED' } }),
    ...(validFrom && { validFromMs: validFrom.getTime() }),
  }
}

/** Version 0 makes the cache keep the record of an unused name for a short time only. */
export function encodeNameRecord(record: NameRecord): Entry {
  return encodeEntry(record.user ? 1 : 0, record)
}

export function decodeNameRecord(entry: Entry): NameRecord {
  return JSON.parse(Buffer.from(decodeEntry(entry).json).toString())
}
