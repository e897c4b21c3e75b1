// The columns of a CSV file, and the fields that a person maps them to.
import Papa from 'papaparse'

export type Column = {
  /** From 1. */
  position: number
  name: string
  /** The first value that is not empty. */
  example: string
  /** Where the values go: a value of `fieldOptions`. */
  field: string
  /** Of an attribute. */
  key: string
}
type Target = Pick<Column, 'field' | 'key'>

const columnsMax = 1_000
const exampleRows = 20
const exampleCharacters = 60

const fieldNames = ['username', 'name', 'external_id', 'status', 'avatar', 'password', 'password_hash']
const contactFields = ['EMAIL', 'PHONE', 'WORK', 'WHATSAPP']
const attributeFields = ['text', 'number', 'boolean']

/** `as named`: the header is one of our own columns. */
export const fieldOptions = [
  { value: 'skip', text: 'Leave out' },
  { value: 'username', text: 'Username' },
  { value: 'name', text: 'Name' },
  { value: 'external_id', text: 'External id' },
  { value: 'EMAIL', text: 'Contact: e-mail' },
  { value: 'PHONE', text: 'Contact: phone' },
  { value: 'WORK', text: 'Contact: work' },
  { value: 'WHATSAPP', text: 'Contact: WhatsApp' },
  { value: 'text', text: 'Attribute: text' },
  { value: 'number', text: 'Attribute: number' },
  { value: 'boolean', text: 'Attribute: yes or no' },
  { value: 'status', text: 'Status' },
  { value: 'password', text: 'Password' },
  { value: 'password_hash', text: 'Password hash' },
  { value: 'avatar', text: 'Avatar' },
]
export const asNamedOption = { value: 'as named', text: 'As it is named' }

const ownColumn =
  /^(id|username|name|status|external_id|avatar|password|password_hash|version|created_at|updated_at|contacts\.\d{1,2}\.(id|type|contact_type|value(:(EMAIL|PHONE|WORK|WHATSAPP))?)|attributes(\.[a-z][a-z0-9_]{0,63}(:(number|boolean))?)?)$/
const attributeKey = /^[a-z][a-z0-9_]{0,63}$/

/** @param start of the file @returns its columns, with the fields that their names suggest */
export function readColumns(start: Uint8Array): Column[] {
  const text = new TextDecoder().decode(start)
  const { data } = Papa.parse<string[]>(text, {
    preview: exampleRows + 1,
    delimitersToGuess: [',', ';', '\t'],
    skipEmptyLines: true,
  })
  const [header = [], ...rows] = data
  const columns = header.slice(0, columnsMax).map((name, at) => ({
    position: at + 1,
    name: name.trim(),
    example: (rows.find((row) => row[at])?.[at] ?? '').slice(0, exampleCharacters),
  }))
  const targets = guessTargets(columns)
  return columns.map((column, at) => ({ ...column, field: 'skip', key: '', ...targets[at] }))
}

type Named = Pick<Column, 'name' | 'example'>

export function isOwnColumn({ name }: Named): boolean {
  return ownColumn.test(name)
}

function guessTargets(columns: Named[]): Target[] {
  if (columns.every(isOwnColumn)) return columns.map(() => ({ field: asNamedOption.value, key: '' }))
  const taken = new Set<string>()
  const targets = columns.map((column) => {
    const target = guess(column)
    if (!fieldNames.includes(target.field)) return target
    // Two columns cannot be the same field.
    if (taken.has(target.field)) return attributeOf(column)
    taken.add(target.field)
    return target
  })
  const email = targets.findIndex(({ field }) => field === 'EMAIL')
  return taken.has('username') || email < 0 ? targets : targets.with(email, { field: 'username', key: '' })
}

const guesses: [pattern: RegExp, field: string][] = [
  [
    /^(user ?name|login( name)?|user login|account( name)?|sam ?account ?name|user ?principal ?name|upn)$/,
    'username',
  ],
  [/^(name|full ?name|display ?name)$/, 'name'],
  [/^(id|uid|user ?id|external ?id|object ?id|employee (id|number))$/, 'external_id'],
  [/\be ?mail\b|^mail$/, 'EMAIL'],
  [/whats ?app/, 'WHATSAPP'],
  [/^(work|office|business) (phone|number|telephone)/, 'WORK'],
  [/\b(tele)?phone\b|^(tel|mobile|cell|mobile number)$/, 'PHONE'],
  [/^password ?hash$/, 'password_hash'],
  [/^password$/, 'password'],
  [/^avatar$/, 'avatar'],
]

function guess(column: Named): Target {
  if (/^(contacts|attributes)\b/.test(column.name) && isOwnColumn(column))
    return { field: asNamedOption.value, key: '' }
  if (/^(ACTIVE|BLOCKED)$/.test(column.example)) return { field: 'status', key: '' }
  const words = column.name
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, ' ')
    .trim()
  const field = guesses.find(([pattern]) => pattern.test(words))?.[1]
  return field === undefined ? attributeOf(column) : { field, key: '' }
}

function attributeOf({ name }: Named): Target {
  const key = keyOf(name)
  return attributeKey.test(key) ? { field: 'text', key } : { field: 'skip', key: '' }
}

/** @returns the header in lower snake case, without accents; not always a key of an attribute */
function keyOf(name: string): string {
  return name
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^[_0-9]+|_+$/g, '')
    .slice(0, 64)
}

export function isAttribute(field: string): boolean {
  return attributeFields.includes(field)
}

/** @returns why the file cannot be imported with this mapping */
export function mappingFaults(columns: Column[]): string[] {
  const names = ownNames(columns)
  const faults: string[] = []
  if (!names.includes('username')) faults.push('Choose the column that holds the username.')
  const repeated = names.filter((name, at) => name !== '' && names.indexOf(name) !== at)
  for (const name of new Set(repeated))
    faults.push(`Only one column can be ${name}. Change or leave out the others.`)
  for (const { name, field, key } of columns)
    if (isAttribute(field) && !attributeKey.test(key))
      faults.push(
        `The attribute of the column ${name} needs a name: a letter a–z, then a–z, 0–9 and _, at most 64 characters.`,
      )
  return faults
}

/** @returns the API's mapping: our name for each column that has another one; an empty name leaves it out */
export function mappingOf(columns: Column[]): Record<string, string> {
  const names = ownNames(columns)
  return Object.fromEntries(
    columns.flatMap(({ name }, at): [string, string][] =>
      // The API leaves out columns without a name by itself.
      name === '' || names[at] === name ? [] : [[name, names[at] ?? '']],
    ),
  )
}

function ownNames(columns: Column[]): string[] {
  // Contacts that the file names itself keep their places.
  let contacts = Math.max(
    -1,
    ...columns.map(({ name }) => Number(/^contacts\.(\d+)\./.exec(name)?.[1] ?? -1)),
  )
  return columns.map(({ name, field, key }) => {
    if (field === asNamedOption.value) return name
    if (fieldNames.includes(field)) return field
    if (contactFields.includes(field)) return `contacts.${++contacts}.value:${field}`
    if (!isAttribute(field)) return ''
    return field === 'text' ? `attributes.${key}` : `attributes.${key}:${field}`
  })
}
