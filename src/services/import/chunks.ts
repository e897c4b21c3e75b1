// Turns the rows of a file into chunks: each is checked, prepared and then merged in one transaction.

import { createTurns } from '../../platform/event-loop.ts'
import type { ServiceContext } from '../context.ts'
import { type Checked, type CheckedRow, isRefused, type RefusedRow, type RowCheck } from './check-row.ts'
import { isExpensive, prepareRow } from './prepare-row.ts'
import { type ImportRow, invalidFile } from './row.ts'

export type Chunk = {
  rows: CheckedRow[]
  refused: RefusedRow[]
  /** Rows of the file up to the end of the chunk. */
  rowsRead: number
  /** Bytes of the file up to about the end of the chunk. */
  bytesRead: number
}

type Options = {
  ctx: ServiceContext
  checkRow: RowCheck
  /** Rows that an earlier run committed. They are checked again, because later rows must not repeat their keys. */
  skip: number
  /** How many bytes the parser has read. */
  bytesRead: () => number
  isDryRun: boolean
  dropsMissingAvatar: boolean
  signal: AbortSignal
}

/** A chunk of this size takes some ten milliseconds of PostgreSQL's time. */
const chunkRows = 2_000
// A chunk is in memory as a whole, and an avatar takes as much as some hundred rows.
const expensiveWeight = 20
/** The keys of this many rows take some hundred megabytes. */
const rowsMax = 10_000_000

/** @throws ServiceError `invalid` if the file is not of its format, or too long; `unavailable` */
export async function* inChunks(parsed: AsyncIterable<ImportRow[]>, options: Options): AsyncGenerator<Chunk> {
  const { ctx, checkRow, skip, signal } = options
  const { isOver, letOthersRun } = createTurns()
  let rowsRead = 0
  let weight = 0
  let checked: Checked[] = []
  const take = (): Chunk => {
    const chunk: Chunk = { rows: [], refused: [], rowsRead, bytesRead: options.bytesRead() }
    for (const row of checked) {
      if (isRefused(row)) chunk.refused.push(row)
      else chunk.rows.push(row)
    }
    checked = []
    weight = 0
    return chunk
  }
  for await (const rows of parsed)
    for (const row of rows) {
      if (isOver()) await letOthersRun()
      signal.throwIfAborted()
      if (++rowsRead > rowsMax) throw invalidFile(`The file has more than ${rowsMax} users. Split it.`)
      const result = checkRow(row)
      if (rowsRead <= skip) continue
      if (isRefused(result) || !isExpensive(result)) checked.push(result)
      else {
        checked.push(await prepareRow(ctx, result, options))
        weight += expensiveWeight - 1
      }
      if (++weight >= chunkRows) yield take()
    }
  // Also for a file without users, so that its end is recorded.
  yield take()
}
