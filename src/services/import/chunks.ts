// Turns the rows of a file into chunks: each is checked, prepared and then merged in one transaction.

import { createTurns } from '../../platform/event-loop.ts'
import type { ServiceContext } from '../context.ts'
import { type Checked, type CheckedRow, isRefused, type RefusedRow, type RowCheck } from './check-row.ts'
import { type NewUser, toNewUser } from './new-users.ts'
import { isExpensive, prepareRow } from './prepare-row.ts'
import { type ImportRow, invalidFile } from './row.ts'

/** A row with the user that it creates, unless the directory has the user. */
export type PreparedRow = CheckedRow & { fresh: NewUser }

type Outcome = PreparedRow | RefusedRow

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
// Hashes run three at once at most. More rows would hold more images in memory.
const preparedAtOnce = 4
/** The keys of this many rows take some hundred megabytes. */
const rowsMax = 10_000_000

/** @throws ServiceError `invalid` if the file is not of its format, or too long; `unavailable` */
export async function* inChunks(parsed: AsyncIterable<ImportRow[]>, options: Options): AsyncGenerator<Chunk> {
  const { ctx, checkRow, skip, signal, now } = options
  const { isOver, letOthersRun } = createTurns()
  let rowsRead = 0
  let weight = 0
  /** The chunk's rows in the order of the file, some of which are still prepared. */
  let rows: (Outcome | Promise<Outcome>)[] = []
  const preparing = new Set<Promise<Outcome>>()
  const finish = (row: Checked): Outcome => (isRefused(row) ? row : { ...row, fresh: toNewUser(row, now()) })
  const prepare = async (row: CheckedRow): Promise<void> => {
    while (preparing.size >= preparedAtOnce) await Promise.race(preparing)
    const prepared = prepareRow(ctx, row, options)
      .then(finish)
      .finally(() => preparing.delete(prepared))
    preparing.add(prepared)
    // The end of the chunk throws its error.
    prepared.catch(() => {})
    rows.push(prepared)
  }
  const take = async (): Promise<Chunk> => {
    const chunk: Chunk = { rows: [], refused: [], rowsRead, bytesRead: options.bytesRead() }
    for (const row of rows) {
      const outcome = row instanceof Promise ? await row : row
      if (isRefused(outcome)) chunk.refused.push(outcome)
      else chunk.rows.push(outcome)
    }
    rows = []
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
      if (isRefused(result) || !isExpensive(result)) rows.push(finish(result))
      else {
        await prepare(result)
        weight += expensiveWeight - 1
      }
      if (++weight >= chunkRows) yield await take()
    }
  // Also for a file without users, so that its end is recorded.
  yield await take()
}
