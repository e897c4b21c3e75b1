// The input of the form. All inputs are texts, and rows have keys of their own.
import type { User } from '../api/directory.ts'
import { numberFault, readNumber } from './read-number.ts'
import type { ContactValue, Values } from './values.ts'

export type ContactRow = ContactValue & { key: string }
export type AttributeType = 'text' | 'number' | 'boolean'
export type AttributeRow = {
  key: string
  name: string
  type: AttributeType
  value: string
  /** The input from before the type became boolean. */
  text?: string | undefined
}

export type Draft = {
  username: string
  name: string
  status: User['status']
  externalId: string
  contacts: ContactRow[]
  attributes: AttributeRow[]
}

let lastKey = 0
export const newKey = () => `row-${++lastKey}`

export const emptyDraft: Draft = {
  username: '',
  name: '',
  status: 'ACTIVE',
  externalId: '',
  contacts: [],
  attributes: [],
}

export function draftOf(values: Values): Draft {
  return {
    username: values.username,
    name: values.name ?? '',
    status: values.status,
    externalId: values.external_id ?? '',
    contacts: values.contacts.map((contact) => ({ ...contact, key: newKey() })),
    attributes: Object.entries(values.attributes).map(([name, value]) => ({
      key: newKey(),
      name,
      type: typeof value === 'number' ? 'number' : typeof value === 'boolean' ? 'boolean' : 'text',
      value: String(value),
    })),
  }
}

export function draftValues(draft: Draft): Values {
  return {
    username: draft.username,
    name: draft.name === '' ? null : draft.name,
    status: draft.status,
    external_id: draft.externalId === '' ? null : draft.externalId,
    contacts: draft.contacts.map(({ key: _key, ...contact }) => contact),
    attributes: Object.fromEntries(draft.attributes.map((row) => [row.name, attributeValue(row)])),
  }
}

function attributeValue({ type, value }: AttributeRow): string | number | boolean {
  if (type === 'number') return readNumber(value) ?? Number.NaN
  return type === 'boolean' ? value === 'true' : value
}

/** @returns the faults that the API cannot see, by pointer */
export function draftFaults({ attributes }: Draft): Map<string, string> {
  const faults = new Map<string, string>()
  const names = new Set<string>()
  for (const { name, type, value } of attributes) {
    if (name === '') faults.set(attributePointer(name), 'must have a name, or remove the row')
    else if (names.has(name)) faults.set(attributePointer(name), 'must have a name that no other row has')
    if (type === 'number' && readNumber(value) === undefined) faults.set(attributePointer(name), numberFault)
    names.add(name)
  }
  return faults
}

/** JSON Pointer (RFC 6901). */
export function attributePointer(name: string): string {
  return `/attributes/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}
