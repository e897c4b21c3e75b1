// Encodes the position where the next page of a list starts, bound to the query.
import { createHash } from 'node:crypto'
import { invalid } from '../../model/errors.ts'
import { readInstant } from '../../model/instant.ts'
import type { ListQuery } from '../../model/listing.ts'
import { textFault } from '../../model/text.ts'
import { readUuid } from '../../model/uuid.ts'

/** The sort's value and the id of the last row before the page. */
export type Position = [key: string, id: string]

// A cursor is not secret and grants nothing. Its checksum rejects one that was changed or belongs to another query.
export function writeCursor(position: Position, query: ListQuery): string {
  const payload = Buffer.from(JSON.stringify(position))
  return Buffer.concat([checksum(payload, query), payload]).toString('base64url')
}

const checksumBytes = 12

function checksum(payload: Uint8Array, query: ListQuery): Buffer {
  const { cursor: _, limit: __, count: ___, ...bound } = query
  return createHash('sha256')
    .update(JSON.stringify(Object.entries(bound).sort(([a], [b]) => (a < b ? -1 : 1))))
    .update('\n')
    .update(payload)
    .digest()
    .subarray(0, checksumBytes)
}

/** @throws ServiceError `invalid` for a cursor of another query */
export function readCursor(cursor: string, query: ListQuery): Position {
  const refused = invalid({
    parameter: 'cursor',
    message: 'does not belong to this query; use next_cursor of the page before, with the same parameters',
  })
  const bytes = Buffer.from(cursor, 'base64url')
  const payload = bytes.subarray(checksumBytes)
  if (
    bytes.toString('base64url') !== cursor ||
    !checksum(payload, query).equals(bytes.subarray(0, checksumBytes))
  )
    throw refused
  // A client could compute the checksum itself, so the content is validated too.
  let position: unknown
  try {
    position = JSON.parse(payload.toString())
  } catch {
    throw refused
  }
  if (!Array.isArray(position) || position.length !== 2) throw refused
  const [key, id]: unknown[] = position
  if (typeof key !== 'string' || typeof id !== 'string' || readUuid(id) !== id) throw refused
  const isKey = query.sort.endsWith('_at') ? readInstant(key) === key : textFault(key) === undefined
  if (!isKey) throw refused
  return [key, id]
}
