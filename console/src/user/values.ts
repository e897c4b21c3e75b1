// The fields that a person can change, and the differences between two states of a user.
import type { User, UserChanges } from '../api/directory.ts'

export type ContactValue = {
  id?: string
  contact_type: User['contacts'][number]['contact_type']
  value: string
}

export type Values = Pick<User, 'username' | 'name' | 'status' | 'external_id' | 'attributes'> & {
  contacts: ContactValue[]
}

export function valuesOf({ username, name, status, external_id, attributes, contacts }: User): Values {
  return { username, name, status, external_id, attributes, contacts }
}

const attributePrefix = 'attributes.'

/** @returns the values by field, with a field for each attribute */
export function fieldsOf({ attributes, ...others }: Values): Map<string, unknown> {
  const fields = new Map<string, unknown>(Object.entries(others))
  for (const [key, value] of Object.entries(attributes)) fields.set(attributePrefix + key, value)
  return fields
}

export function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** @returns the merge patch that leads from one state to the other; undefined without a difference */
export function changesBetween(from: Values, to: Values): UserChanges | undefined {
  const [before, after] = [fieldsOf(from), fieldsOf(to)]
  const names = [...new Set([...before.keys(), ...after.keys()])]
  const different = names.filter((name) => !isSame(before.get(name), after.get(name)))
  if (different.length === 0) return undefined
  const attributes: Record<string, unknown> = {}
  const changes: Record<string, unknown> = {}
  for (const name of different)
    if (name.startsWith(attributePrefix))
      attributes[name.slice(attributePrefix.length)] = after.get(name) ?? null
    else changes[name] = after.get(name)
  if (Object.keys(attributes).length > 0) changes.attributes = attributes
  return changes as UserChanges
}

/** The inverse of `fieldsOf`. */
export function valuesFrom(fields: Map<string, unknown>): Values {
  const attributes: Record<string, unknown> = {}
  const values: Record<string, unknown> = { attributes }
  for (const [name, value] of fields)
    if (!name.startsWith(attributePrefix)) values[name] = value
    else if (value !== undefined) attributes[name.slice(attributePrefix.length)] = value
  return values as Values
}

const titles: Record<string, string> = {
  username: 'Username',
  name: 'Name',
  status: 'Status',
  external_id: 'External id',
  contacts: 'Contacts',
}

export function fieldTitle(name: string): string {
  return titles[name] ?? `Attribute ${name.slice(attributePrefix.length)}`
}
