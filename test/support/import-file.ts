// Import files for the parsers, in any chunks, and the rows that come out.
import type { ImportRow } from '../../src/services/import/row.ts'

/** Each part is one chunk. */
export async function* bytesOf(...parts: (string | Uint8Array)[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part
}

/** Reuses one buffer for all chunks, as a pooled source may. @param cuts offsets in any order */
export async function* chunks(file: Uint8Array, cuts: number[]): AsyncIterable<Uint8Array> {
  const buffer = Buffer.alloc(file.length)
  let from = 0
  for (const to of [...cuts.toSorted((a, b) => a - b), file.length]) {
    buffer.fill(0)
    buffer.set(file.subarray(from, to))
    yield buffer.subarray(0, to - from)
    from = to
  }
}

export async function rowsOf(arrays: AsyncIterable<ImportRow[]>): Promise<ImportRow[]> {
  const rows: ImportRow[] = []
  for await (const array of arrays) rows.push(...array)
  return rows
}
