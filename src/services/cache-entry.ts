// The form of a cache entry: a version, a line feed, and JSON.
import type { Entry } from '../connection/cache/cache.ts'

/** @param version 0 makes the cache treat the entry as a negative one */
export function encodeEntry(version: number, value: unknown): Entry {
  return Buffer.from(`${version}\n${JSON.stringify(value)}`)
}

/** @returns the version, and the JSON as UTF-8 without a copy */
export function decodeEntry(entry: Entry): { version: number; json: Uint8Array<ArrayBuffer> } {
  const end = entry.indexOf(0x0a)
  return {
    version: Number(entry.toString('latin1', 0, end)),
    json: entry.subarray(end + 1) as Uint8Array<ArrayBuffer>,
  }
}
