// Turns the rows of a file into chunks: each is checked, prepared and then merged in one transaction.

import { createTurns } from '../../platform/event-loop.ts'
import type { ServiceContext } from '../context.ts'
import { type Checked, type CheckedRow, isRefused, type RefusedRow, type RowCheck } from './check-row.ts'
import { type NewUser, toNewUser } from './new-users.ts'
import { isExpensive, prepareRow } from './prepare-row.ts'
import { type ImportRow, invalidFile } from './row.ts'

/** A row with the user that it creates, unless the directory has the user. */
export type PreparedRow = CheckedRow & { fresh: NewUser }

export type Chunk = {
  rows: PreparedRow[]
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
  /** The database's clock. */
  now: () => Date
  isDryRun: boolean
  dropsMissingAvatar: boolean
  signal: AbortSignal
}

/** A chunk of this size takes some ten milliseconds of PostgreSQL's time. */
const chunkRows = 1_000
// A chunk is in memory as a whole, and an avatar takes as much as some hundred rows.
const expensiveWeight = 20
/** The keys of this many rows take some hundred megabytes. */
const rowsMax = 10_000_000

/** @throws ServiceError `invalid` if the file is not of its format, or too long; `unavailable` */
export async function* inChunks(parsed: AsyncIterable<ImportRow[]>, options: Options): AsyncGenerator<Chunk> {
  const { ctx, checkRow, skip, signal, now } = options
  const { isOver, letOthersRun } = createTurns()
  let rowsRead = 0
  let weight = 0
  let rows: PreparedRow[] = []
  let refused: RefusedRow[] = []
  const add = (row: Checked): void => {
    if (isRefused(row)) refused.push(row)
    else rows.push({ ...row, fresh: toNewUser(row, now()) })
  }
  const take = (): Chunk => {
    const chunk: Chunk = { rows, refused, rowsRead, bytesRead: options.bytesRead() }
    rows = []
    refused = []
    weight = 0
    return chunk
  }
  for await (const parsedRows of parsed)
    for (const row of parsedRows) {
      if (isOver()) await letOthersRun()
      signal.throwIfAborted()
      if (++rowsRead > rowsMax) throw invalidFile(`The file has more than ${rowsMax} users. Split it.`)
      const result = checkRow(row)
      if (rowsRead <= skip) continue
      if (isRefused(result) || !isExpensive(result)) add(result)
      else {
        add(await prepareRow(ctx, result, options))
        weight += expensiveWeight - 1
      }
      if (++weight >= chunkRows) yield take()
    }
  // Also for a file without users, so that its end is recorded.
  yield take()
}
