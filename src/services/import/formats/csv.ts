// Parses our own CSV, or one whose columns the job's mapping renames to ours.
import type { Fault } from '../../../model/errors.ts'
import { textOfCell } from '../csv-cell.ts'
import { type CsvColumn, readHeader } from '../csv-columns.ts'
import { type CsvRecord, readCsv, recordFault } from '../csv-records.ts'
import { isObject, parseJson } from '../json.ts'
import { type ImportRow, invalidFile, type ParseImport, refusedRow } from '../row.ts'

export const parseCsv: ParseImport = async function* (bytes, { mapping = {} }) {
  let columns: CsvColumn[] | undefined
  for await (const records of readCsv(bytes)) {
    if (!columns) {
      const header = records.shift()
      columns = readHeader(header?.cells ?? [], mapping)
    }
    const rows: ImportRow[] = []
    for (const record of records) rows.push(toRow(record, columns))
    if (rows.length > 0) yield rows
  }
  if (!columns) throw invalidFile('The file is empty. Its first line must name the columns.')
}

function toRow(record: CsvRecord, columns: CsvColumn[]): ImportRow {
  const { line, cells } = record
  const fault = recordFault(record, columns.length)
  if (fault !== undefined) return refusedRow(line, fault)
  const draft: Draft = { user: {}, contacts: [], attributes: {}, faults: [] }
  for (const [at, column] of columns.entries()) setCell(draft, column, cells[at] ?? '')
  const { user, contacts, attributes, faults } = draft
  if (user.password_hash === undefined) user.password ??= null
  // Empty columns of contacts leave gaps.
  user.contacts = contacts.filter((contact) => contact !== undefined)
  user.attributes = attributes
  return { line, user, faults }
}

type Draft = {
  user: Record<string, unknown>
  contacts: (Record<string, string> | undefined)[]
  attributes: Record<string, unknown>
  faults: Fault[]
}

function setCell(draft: Draft, column: CsvColumn, cell: string): void {
  if (cell === '') {
    // An empty username stays undefined, so that the schema misses it.
    if (column.kind === 'text' && column.name !== 'username') draft.user[column.name] = null
    return
  }
  switch (column.kind) {
    case 'text':
      draft.user[column.name] = textOfCell(cell)
      return
    case 'plain':
      draft.user[column.name] = cell
      return
    case 'version':
      if (/^[1-9]\d{0,9}$/.test(cell)) draft.user.version = Number(cell)
      else draft.faults.push({ pointer: '/version', message: 'must be a positive integer' })
      return
    case 'contact':
      setContact(draft, column, cell)
      return
    case 'attribute':
      setAttribute(draft, column, cell)
      return
    case 'attributes': {
      const value = parseJson(cell)
      // Spread keeps a key `__proto__` an ordinary one, which validation refuses.
      if (isObject(value)) draft.attributes = { ...draft.attributes, ...value }
      else draft.faults.push({ pointer: '/attributes', message: 'must be one JSON object' })
    }
  }
}

function setContact(
  { contacts }: Draft,
  { index, field, type }: Extract<CsvColumn, { kind: 'contact' }>,
  cell: string,
): void {
  const contact = contacts[index] ?? {}
  contact[field] = field === 'value' ? (textOfCell(cell) ?? '') : cell
  if (type !== undefined) contact.contact_type = type
  contacts[index] = contact
}

// RFC 8259, section 6.
const number = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/

function setAttribute(
  { attributes, faults }: Draft,
  { key, type }: Extract<CsvColumn, { kind: 'attribute' }>,
  cell: string,
): void {
  if (type === 'text') attributes[key] = textOfCell(cell)
  else if (type === 'number' && number.test(cell)) attributes[key] = Number(cell)
  // Spreadsheets write TRUE.
  else if (type === 'boolean' && /^(true|false)$/i.test(cell)) attributes[key] = cell.toLowerCase() === 'true'
  else
    faults.push({
      pointer: `/attributes/${key}`,
      message: type === 'number' ? 'must be a number' : 'must be true or false',
    })
}
