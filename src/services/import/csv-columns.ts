// The columns of our CSV, for the import and the export.
import { type ContactType, contactTypes } from '../../model/user.ts'
import { invalidFile } from './row.ts'

export const textColumns = ['username', 'name', 'external_id', 'avatar'] as const
const plainColumns = ['id', 'status', 'password', 'password_hash', 'created_at', 'updated_at'] as const
export const contactFields = ['id', 'type', 'value'] as const
const attributeTypes = ['text', 'number', 'boolean'] as const

export type AttributeType = (typeof attributeTypes)[number]

export type CsvColumn =
  | { kind: 'text'; name: (typeof textColumns)[number] }
  | { kind: 'plain'; name: (typeof plainColumns)[number] }
  | { kind: 'version' }
  | { kind: 'contact'; index: number; field: 'id' | 'contact_type' | 'value'; type?: ContactType }
  | { kind: 'attribute'; key: string; type: AttributeType }
  | { kind: 'attributes' }
  | { kind: 'skipped' }

const contactsMax = 50
const columnsMax = 1_000

/** A value whose type is in the header, for files without a column of types. */
const typedValue = /^(contacts\.\d{1,2}\.value):([A-Z]+)$/

export function contactColumn(index: number, field: (typeof contactFields)[number]): string {
  return `contacts.${index}.${field}`
}

/** A key may have one column for each type, because its values may differ in type between users. */
export function attributeColumn(key: string, type: AttributeType): string {
  return type === 'text' ? `attributes.${key}` : `attributes.${key}:${type}`
}

/**
 * @param mapping a header of the file, and our header that it stands for; an empty text skips the column
 * @throws ServiceError `invalid` that names the unknown, repeated and missing headers
 */
export function readHeader(headers: string[], mapping: Record<string, string>): CsvColumn[] {
  if (headers.length > columnsMax) throw invalidFile(`The file has more than ${columnsMax} columns.`)
  const renamed = new Map(Object.entries(mapping))
  const names = headers.map((header) => header.trim())
  const absent = [...renamed.keys()].filter((header) => !names.includes(header))
  const targets = names.map((header) => renamed.get(header) ?? header)
  const columns = targets.map((target) => (target === '' ? undefined : columnOf(target)))
  // The first line of a file without a header holds a user's data, which no message may repeat.
  if (columns.every((column) => column === undefined))
    throw invalidFile('The first line of the file must name its columns, and names none that is known.')
  const unknown = names.filter((_, at) => targets[at] !== '' && columns[at] === undefined)
  const places = targets.map((target) => target.replace(typedValue, '$1'))
  const repeated = targets.filter((target, at) => target !== '' && places.indexOf(places[at] ?? '') !== at)
  const complaints = [
    ...complainOf('The file has columns that are unknown', unknown),
    ...complainOf('The file has columns that occur more than once', repeated),
    ...listHeaders('The mapping names columns that the file does not have', absent),
  ]
  if (complaints.length > 0)
    throw invalidFile(`${complaints.join(' ')} Rename or skip columns by the mapping.`)
  return columns.map((column) => column ?? { kind: 'skipped' })
}

// Anything else may be data, such as a password hash, in a damaged header.
const headerPattern = /^[\p{L}\p{N} _.:()?&'-]{1,64}$/u

/** @returns the header for a message */
export function quoteHeader(header: string): string {
  return headerPattern.test(header) ? JSON.stringify(header) : 'a text that is no column name'
}

function complainOf(what: string, headers: string[]): string[] {
  // Beside a text that is no name, others that look like names may be data too.
  return headers.every((header) => headerPattern.test(header))
    ? listHeaders(what, headers)
    : [`${what}; the message names none, because the first line seems to hold data.`]
}

function listHeaders(what: string, headers: string[]): string[] {
  const names = [...new Set(headers)].slice(0, 20).map(quoteHeader)
  return names.length === 0 ? [] : [`${what}: ${names.join(', ')}.`]
}

function columnOf(header: string): CsvColumn | undefined {
  const text = textColumns.find((name) => name === header)
  if (text) return { kind: 'text', name: text }
  const plain = plainColumns.find((name) => name === header)
  if (plain) return { kind: 'plain', name: plain }
  if (header === 'version' || header === 'attributes') return { kind: header }
  const contact = contactColumnOf(header)
  if (contact) return contact
  const [, key, type = 'text'] =
    /^attributes\.([a-z][a-z0-9_]{0,63})(?::(number|boolean))?$/.exec(header) ?? []
  if (key === undefined) return undefined
  return { kind: 'attribute', key, type: attributeTypes.find((known) => known === type) ?? 'text' }
}

function contactColumnOf(header: string): CsvColumn | undefined {
  const [, plain = header, typeName] = typedValue.exec(header) ?? []
  const type = contactTypes.find((known) => known === typeName)
  if (typeName !== undefined && type === undefined) return undefined
  const [, index, field] = /^contacts\.(\d{1,2})\.(id|type|contact_type|value)$/.exec(plain) ?? []
  if (index === undefined || Number(index) >= contactsMax) return undefined
  return {
    kind: 'contact',
    index: Number(index),
    field: field === 'id' || field === 'value' ? field : 'contact_type',
    ...(type && { type }),
  }
}
