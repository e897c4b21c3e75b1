// Writes our own CSV (RFC 4180), which the import reads back exactly.
import { ServiceError } from '../../../model/errors.ts'
import { protectText } from '../../import/csv-cell.ts'
import {
  type AttributeType,
  attributeColumn,
  contactColumn,
  contactFields,
} from '../../import/csv-columns.ts'
import type { ExportedUser } from '../exported-user.ts'

/** The columns that depend on the exported users. They must be known before the first line is written. */
export type CsvShape = {
  /** The largest number of contacts of a user. */
  contacts: number
  /** Every key with every type that its values have, sorted by the caller. */
  attributes: { key: string; type: AttributeType }[]
  includesHashes: boolean
}

// More columns than this would be mostly empty cells. All attributes then share one column of JSON.
const attributeColumnsMax = 200

export function csvHeader(shape: CsvShape): string {
  const contacts = Array.from({ length: shape.contacts }, (_, index) =>
    contactFields.map((field) => contactColumn(index, field)),
  )
  const attributes = isWide(shape)
    ? ['attributes']
    : shape.attributes.map(({ key, type }) => attributeColumn(key, type))
  return toLine([
    'id',
    'username',
    'name',
    'status',
    'external_id',
    'avatar',
    'version',
    'created_at',
    'updated_at',
    ...(shape.includesHashes ? ['password_hash'] : []),
    ...contacts.flat(),
    ...attributes,
  ])
}

/**
 * @returns a line for each user, with its line end
 * @throws ServiceError `conflict` for a user that does not fit the shape, because it changed after the shape was read
 */
export function csvLines(users: ExportedUser[], shape: CsvShape): string {
  let lines = ''
  for (const user of users) lines += toLine(cellsOf(user, shape))
  return lines
}

function cellsOf(user: ExportedUser, shape: CsvShape): string[] {
  const cells = [
    user.id,
    protectText(user.username),
    textOrEmpty(user.name),
    user.status,
    textOrEmpty(user.external_id),
    textOrEmpty(user.avatar),
    String(user.version),
    user.created_at,
    user.updated_at,
  ]
  if (shape.includesHashes) cells.push(user.password_hash ?? '')
  if (user.contacts.length > shape.contacts) throw changed()
  for (let at = 0; at < shape.contacts; at++) {
    const contact = user.contacts[at]
    if (contact) cells.push(contact.id, contact.contact_type, protectText(contact.value))
    else cells.push('', '', '')
  }
  return [...cells, ...attributeCells(user.attributes, shape)]
}

function attributeCells(attributes: ExportedUser['attributes'], shape: CsvShape): string[] {
  const count = Object.keys(attributes).length
  if (isWide(shape)) return [count === 0 ? '' : JSON.stringify(attributes)]
  let written = 0
  const cells = shape.attributes.map(({ key, type }) => {
    const value = Object.hasOwn(attributes, key) ? attributes[key] : undefined
    if (typeof value !== (type === 'text' ? 'string' : type)) return ''
    written++
    return typeof value === 'string' ? protectText(value) : JSON.stringify(value)
  })
  if (written < count) throw changed()
  return cells
}

function isWide(shape: CsvShape): boolean {
  return shape.attributes.length > attributeColumnsMax
}

function textOrEmpty(text: string | null): string {
  return text === null ? '' : protectText(text)
}

function toLine(cells: string[]): string {
  return `${cells.map(quoted).join(',')}\r\n`
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}

function changed(): ServiceError {
  return new ServiceError('conflict', 'Users changed while they were exported. Start the export again.')
}
