// Import files for the parsers, in any chunks, and the rows that come out.
import type { ImportRow } from '../../src/services/import/row.ts'

/** Each part is one chunk. */
export async function* bytesOf(...parts: (string | Uint8Array)[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part
}

/** @param cuts offsets in any order; equal ones make empty chunks */
export async function* chunks(file: Uint8Array, cuts: number[]): AsyncIterable<Uint8Array> {
  let from = 0
  for (const to of [...cuts.toSorted((a, b) => a - b), file.length]) {
    yield file.subarray(from, to)
    from = to
  }
}

export async function rowsOf(arrays: AsyncIterable<ImportRow[]>): Promise<ImportRow[]> {
  const rows: ImportRow[] = []
  for await (const array of arrays) rows.push(...array)
  return rows
}
