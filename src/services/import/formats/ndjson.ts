// Parses our own NDJSON: one user in each line, as the export writes it.
import { isObject, parseJson } from '../json.ts'
import { type Line, readLines } from '../lines.ts'
import { type ImportRow, invalidFile, type ParseImport, refusedRow } from '../row.ts'

export const parseNdjson: ParseImport = async function* (bytes) {
  for await (const lines of readLines(bytes)) {
    const rows: ImportRow[] = []
    for (const line of lines) if (line.fault !== undefined || line.text.trim() !== '') rows.push(toRow(line))
    if (rows.length > 0) yield rows
  }
}

function toRow(line: Line): ImportRow {
  if (line.fault !== undefined) return refusedRow(line.number, line.fault)
  const value = parseJson(line.text)
  if (value === undefined && line.isUnterminated)
    throw invalidFile(`The file ends in the middle of line ${line.number}. Send the whole file.`)
  if (!isObject(value)) return refusedRow(line.number, 'must be one JSON object')
  // The export writes null for a user without a password.
  if ((value.password_hash ?? undefined) === undefined) {
    delete value.password_hash
    value.password ??= null
  }
  return { line: line.number, user: value, faults: [] }
}
