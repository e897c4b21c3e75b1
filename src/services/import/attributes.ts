// Makes the metadata of other systems attributes of ours.
import { attributes as schema } from '../../model/attributes.ts'
import type { Fault } from '../../model/errors.ts'
import type { SourceOptions } from '../../model/import-options.ts'
import { pointer } from '../../model/validate.ts'
import { entriesOf, isObject, parseJson } from './json.ts'

/** Stands for a text that must be JSON, and is not. */
const malformed = Symbol('malformed JSON')

type Attributes = Record<string, unknown>

/** @returns the members of an object, or of the JSON text of one; for another text one value that `toAttributes` refuses */
export function metadataEntries(name: string, value: unknown): [name: string, value: unknown][] {
  if (typeof value !== 'string' || value === '') return entriesOf(value)
  const parsed = parseJson(value)
  return isObject(parsed) || parsed === null ? entriesOf(parsed) : [[name, malformed]]
}

/**
 * Names become lower snake case: `favouriteColour` is `favourite_colour`. Of two equal names the first one counts. Values
 * that cannot be attributes are treated as the options say; the schema refuses those that are too long.
 */
export function toAttributes(
  entries: [name: string, value: unknown][],
  { nested_values: nested = 'drop', unfit_values: unfit = 'refuse' }: SourceOptions,
): { attributes: Attributes; faults: Fault[] } {
  const attributes = new Map<string, unknown>()
  const faults: Fault[] = []
  const refuse = (name: string, message: string) =>
    faults.push({ pointer: pointer(['attributes', name]), message })
  for (const [name, given] of entries) {
    const isNested = typeof given === 'object' && given !== null
    if (given === null || given === undefined || (isNested && nested === 'drop')) continue
    if (isNested && nested === 'refuse') {
      refuse(name, 'must not be a list or an object; set nested_values to drop or text')
      continue
    }
    if (given === malformed) {
      if (unfit === 'refuse') refuse(name, `must be one JSON object; ${advice}`)
      continue
    }
    const value = isNested ? JSON.stringify(given) : given
    const key = toKey(name)
    if (key === undefined || (attributes.has(key) && attributes.get(key) !== value)) {
      if (unfit === 'refuse')
        refuse(name, key === undefined ? nameless : `is also given as ${key}; ${advice}`)
    } else if (unfit === 'refuse' || schema.safeParse({ [key]: value }).success) attributes.set(key, value)
  }
  return { attributes: Object.fromEntries(attributes), faults }
}

const advice = 'set unfit_values to drop to leave such values out'
const nameless = `must have a name with a letter a–z and at most 64 characters; ${advice}`
const nameUnitsMax = 200

function toKey(name: string): string | undefined {
  if (name.length > nameUnitsMax) return undefined
  const key = name
    .replace(/^custom:/, '')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_|_$/g, '')
  return /^[a-z][a-z0-9_]{0,63}$/.test(key) ? key : undefined
}
