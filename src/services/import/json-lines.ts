// Reads a file with one JSON object in each line (NDJSON).
import { isObject, parseJson } from './json.ts'
import { type Line, readLines } from './lines.ts'
import type { SourceRecord } from './record.ts'
import { invalidFile } from './row.ts'

/** @throws ServiceError `invalid` if the file ends in the middle of a line */
export async function* readJsonLines(bytes: AsyncIterable<Uint8Array>): AsyncIterable<SourceRecord[]> {
  for await (const lines of readLines(bytes)) {
    const records: SourceRecord[] = []
    for (const line of lines)
      if (line.fault !== undefined || line.text.trim() !== '') records.push(toRecord(line))
    if (records.length > 0) yield records
  }
}

function toRecord({ number, isUnterminated, ...line }: Line): SourceRecord {
  if (line.fault !== undefined) return { line: number, fault: line.fault }
  const value = parseJson(line.text)
  if (value === undefined && isUnterminated)
    throw invalidFile(`The file ends in the middle of line ${number}. Send the whole file.`)
  return isObject(value) ? { line: number, value } : { line: number, fault: 'must be one JSON object' }
}
