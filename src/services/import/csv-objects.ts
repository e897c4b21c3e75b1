// Reads another system's CSV as one object for each record, with the header's names as keys.
import { quoteHeader } from './csv-columns.ts'
import { type CsvRecord, readCsv, recordFault } from './csv-records.ts'
import type { SourceRecord } from './record.ts'
import { invalidFile } from './row.ts'

/**
 * Empty cells are left out.
 * @param needed.columns one of which the header must have
 * @throws ServiceError `invalid` if the header has none of them, or repeats a name
 */
export async function* readCsvObjects(
  bytes: AsyncIterable<Uint8Array>,
  needed: { columns: string[] },
): AsyncIterable<SourceRecord[]> {
  let names: string[] | undefined
  for await (const records of readCsv(bytes)) {
    const header = names ? undefined : records.shift()
    names ??= checkHeader(header?.cells ?? [], needed.columns)
    const read: SourceRecord[] = []
    for (const record of records) read.push(toRecord(record, names))
    if (read.length > 0) yield read
  }
  if (!names) checkHeader([], needed.columns)
}

function checkHeader(cells: string[], needed: string[]): string[] {
  const names = cells.map((name) => name.trim())
  if (!needed.some((name) => names.includes(name)))
    throw invalidFile(`The first line must name the columns, and one of them must be ${needed.join(' or ')}.`)
  const repeated = names.find((name, at) => name !== '' && names.indexOf(name) !== at)
  if (repeated !== undefined)
    throw invalidFile(`The column ${quoteHeader(repeated)} occurs more than once. Remove one.`)
  return names
}

function toRecord(record: CsvRecord, names: string[]): SourceRecord {
  const { line, cells } = record
  const fault = recordFault(record, names.length)
  if (fault !== undefined) return { line, fault }
  // `fromEntries` makes a column `__proto__` an ordinary key.
  return {
    line,
    value: Object.fromEntries(
      names.map((name, at) => [name, cells[at] ?? '']).filter(([, cell]) => cell !== ''),
    ),
  }
}
