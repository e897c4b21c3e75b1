// Where a page of a list begins: the sort's value and the id of the last row before it, bound to its query.
import { createHash } from 'node:crypto'
import { invalid } from '../../model/errors.ts'
import { readInstant } from '../../model/instant.ts'
import type { ListQuery } from '../../model/listing.ts'
import { textFault } from '../../model/validate.ts'

export type Position = [key: string, id: string]

// A cursor holds no secret and grants nothing. Its checksum is there so that one that was changed, or that belongs to
// another query, is refused instead of answering an unexpected page.
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

const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** @throws ServiceError `invalid` for a cursor that is not this query's */
export function readCursor(cursor: string, query: ListQuery): Position {
  const refused = invalid({ parameter: 'cursor', message: 'is not a cursor of this query' })
  const bytes = Buffer.from(cursor, 'base64url')
  const payload = bytes.subarray(checksumBytes)
  if (
    bytes.toString('base64url') !== cursor ||
    !checksum(payload, query).equals(bytes.subarray(0, checksumBytes))
  )
    throw refused
  // Anyone who reads this can compute the checksum, so what it covers is checked too.
  let position: unknown
  try {
    position = JSON.parse(payload.toString())
  } catch {
    throw refused
  }
  if (!Array.isArray(position) || position.length !== 2) throw refused
  const [key, id]: unknown[] = position
  if (typeof key !== 'string' || typeof id !== 'string' || !uuidPattern.test(id)) throw refused
  const isKey = query.sort.endsWith('_at') ? readInstant(key) === key : textFault(key) === undefined
  if (!isKey) throw refused
  return [key, id]
}
