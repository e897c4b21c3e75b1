// Remembers the keys of a whole import file, so that a key that appears twice is found without the database: a dry run
// has none of its rows there. A key takes 17 to 34 bytes, because only its hash is kept.
import { randomBytes } from 'node:crypto'

const firstCapacity = 1 << 12
const loadMax = 0.7

export type SeenKeys = {
  /** Remembers that `line` has the key. @returns the earlier line that has it, if there is one */
  claim(key: string, line: number): number | undefined
  /** @returns the line that has the key */
  find(key: string): number | undefined
}

/** Two of ten million different keys are taken for one with a probability of 1 in 400,000. */
export function createSeenKeys(): SeenKeys {
  // Random, so that no file can be made of keys that collide.
  const seed = randomBytes(8)
  const [seed1, seed2] = [seed.readUInt32LE(0), seed.readUInt32LE(4)]
  let capacity = firstCapacity
  let count = 0
  let high = new Uint32Array(capacity)
  let low = new Uint32Array(capacity)
  /** 0 marks a free slot. */
  let lines = new Uint32Array(capacity)

  const grow = (): void => {
    const [oldHigh, oldLow, oldLines] = [high, low, lines]
    capacity *= 2
    high = new Uint32Array(capacity)
    low = new Uint32Array(capacity)
    lines = new Uint32Array(capacity)
    for (let at = 0; at < oldLines.length; at++) {
      const line = oldLines[at] ?? 0
      if (line !== 0) put(oldHigh[at] ?? 0, oldLow[at] ?? 0, line)
    }
  }

  /** @returns the slot of the key, or the free one where it belongs */
  const slotOf = (one: number, other: number): number => {
    let at = one & (capacity - 1)
    while (lines[at] !== 0 && (high[at] !== one || low[at] !== other)) at = (at + 1) & (capacity - 1)
    return at
  }

  /** @returns the line of the key, if it is there already */
  const put = (one: number, other: number, line: number): number | undefined => {
    const at = slotOf(one, other)
    const present = lines[at] ?? 0
    if (present !== 0) return present
    high[at] = one
    low[at] = other
    lines[at] = line
    return undefined
  }

  /** Hashes by cyrb53 of bryc (public domain), with both halves in full. */
  const hash = (key: string): [number, number] => {
    let h1 = 0xdeadbeef ^ seed1
    let h2 = 0x41c6ce57 ^ seed2
    for (let at = 0; at < key.length; at++) {
      const code = key.charCodeAt(at)
      h1 = Math.imul(h1 ^ code, 2654435761)
      h2 = Math.imul(h2 ^ code, 1597334677)
    }
    h1 = Math.imul(h1 ^ (h1 >>> 16), 2246822507) ^ Math.imul(h2 ^ (h2 >>> 13), 3266489909)
    h2 = Math.imul(h2 ^ (h2 >>> 16), 2246822507) ^ Math.imul(h1 ^ (h1 >>> 13), 3266489909)
    return [h1 >>> 0, h2 >>> 0]
  }

  return {
    claim: (key, line) => {
      if (count + 1 > capacity * loadMax) grow()
      const earlier = put(...hash(key), line)
      if (earlier === undefined) count++
      return earlier
    },
    find: (key) => lines[slotOf(...hash(key))] || undefined,
  }
}
