// Parses our own NDJSON: one user in each line, as the export writes it.
import { readJsonLines } from '../json-lines.ts'
import type { SourceRecord } from '../record.ts'
import { type ImportRow, type ParseImport, refusedRow } from '../row.ts'

export const parseNdjson: ParseImport = async function* (bytes) {
  for await (const records of readJsonLines(bytes)) yield records.map(toRow)
}

function toRow(record: SourceRecord): ImportRow {
  if (record.fault !== undefined) return refusedRow(record.line, record.fault)
  const { line, value: user } = record
  // The export writes null for a user without a password.
  if ((user.password_hash ?? undefined) === undefined) {
    delete user.password_hash
    user.password ??= null
  }
  return { line, user, faults: [] }
}
