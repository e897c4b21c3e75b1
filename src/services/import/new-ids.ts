// Makes UUIDs of version 7 for many rows. The package's own random bytes take most of the time of making an id, because it
// fetches them for a few ids at a time.
import { randomFillSync } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'

const randomBytes = 16
const pool = Buffer.alloc(4_096 * randomBytes)
let used = pool.length
/** Keeps the ids of one millisecond in their order. */
let sequence = 0

export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const random = pool.subarray(used, used + randomBytes)
  used += randomBytes
  sequence = (sequence + 1) % 2 ** 31
  return uuidv7({ random, seq: sequence })
}
