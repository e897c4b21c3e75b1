// Stores what a chunk leaves behind for people: refused rows, and what an undo needs.
import type { Queries } from '../../connection/postgres/database.ts'
import type { Fault } from '../../model/errors.ts'
import type { RefusedRow } from './check-row.ts'

// More refused rows than this are counted but not listed: the file as a whole is wrong.
const listedRowsMax = 100_000
const faultsPerRowMax = 20
// Room for the faults of one line in the numbers that order them.
const numbersPerLine = 32

const insertErrors = `
INSERT INTO job_errors (job_id, number, line, pointer, message)
SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[])`

/** @param before the number of refused rows before this chunk */
export async function storeErrors(
  queries: Queries,
  jobId: string,
  { refused, before }: { refused: RefusedRow[]; before: number },
): Promise<void> {
  const listed = refused.slice(0, Math.max(0, listedRowsMax - before))
  const errors = listed.flatMap(({ line, faults }) =>
    faults
      .slice(0, faultsPerRowMax)
      .map((fault, at) => ({ number: line * numbersPerLine + at, line, fault })),
  )
  if (errors.length === 0) return
  await queries.unprepared(insertErrors, [
    jobId,
    errors.map(({ number }) => number),
    errors.map(({ line }) => line),
    errors.map(({ fault }) => pointerOf(fault)),
    errors.map(({ fault }) => fault.message),
  ])
}

function pointerOf(fault: Fault): string {
  return 'pointer' in fault ? fault.pointer : ''
}

/** @param chunk.number grows with each chunk */
export async function storeUndo(
  queries: Queries,
  jobId: string,
  { number, created }: { number: number; created: { id: string; version: number }[] },
): Promise<void> {
  if (created.length === 0) return
  await queries.unprepared(
    'INSERT INTO job_created_users (job_id, chunk, user_ids, versions) VALUES ($1, $2, $3, $4)',
    [jobId, number, created.map(({ id }) => id), created.map(({ version }) => version)],
  )
}
