// Validates input against a schema and reports every fault with its location.
import type * as z from 'zod/mini'
import type { Fault } from './errors.ts'
import { textFault } from './text.ts'

/** Whether faults are located by RFC 6901 pointers into a body, or by parameter names. */
type Location = 'pointer' | 'parameter'

// More faults in one response cost memory and help no client.
const faultsMax = 100

/** The schema's output, or at least one fault. */
export type Checked<T> = { value: T } | { faults: Fault[] }

export function check<T>(schema: z.ZodMiniType<T>, input: unknown, kind: Location): Checked<T> {
  const result = schema.safeParse(input, { error: describe })
  if (result.success) return { value: result.data }
  return {
    faults: result.error.issues
      .flatMap((issue) =>
        issue.code === 'unrecognized_keys'
          ? issue.keys.map((key) => fault(kind, [...issue.path, key], unknownMessage(kind)))
          : [fault(kind, issue.path, issue.message)],
      )
      .slice(0, faultsMax),
  }
}

export function unknownMessage(kind: Location): string {
  return `is not a known ${kind === 'pointer' ? 'field' : 'parameter'}; remove it`
}

function fault(kind: Location, path: PropertyKey[], message: string): Fault {
  // An index is a place in a parameter's list. A key is part of its name, such as `attribute.department`.
  if (kind === 'parameter')
    return { parameter: shorten(path.filter((part) => typeof part === 'string').join('.')), message }
  return { pointer: pointer(path), message }
}

/** RFC 6901. */
export function pointer(path: PropertyKey[]): string {
  return path.map((part) => `/${shorten(String(part)).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

// Bounds the length of a hostile key, and replaces what PostgreSQL cannot store with the faults of an import.
function shorten(part: string): string {
  return (part.length > 100 ? `${part.slice(0, 100)}…` : part).toWellFormed().replaceAll('\0', '\ufffd')
}

function describe(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${article(issue.expected)}`
    case 'invalid_value':
      return `must be one of ${issue.values
        .map((value) => String(value))
        .filter(unique)
        .join(', ')}`
    case 'invalid_key':
      return `has a name that ${issue.issues[0]?.message ?? 'is not valid'}`
    // Beyond the numbers that JavaScript holds exactly; schemas state limits of their own.
    case 'too_big':
      return 'is too large'
    case 'too_small':
      return 'is too small'
    default:
      return 'is not valid'
  }
}

function article(type: string): string {
  // zod's name for an object with keys of the client's choice.
  if (type === 'record') return 'an object'
  if (type === 'int') return 'a whole number'
  if (type === 'object' || type === 'array') return `an ${type}`
  return `a ${type}`
}

function unique<T>(value: T, at: number, all: T[]): boolean {
  return all.indexOf(value) === at
}

const depthMax = 8
const itemsMax = 1_000

/**
 * Finds, before any schema does, values that no field may contain: excessive nesting and lists, names and text that
 * PostgreSQL cannot store, and `__proto__`, which schemas ignore.
 * @returns `isUnbounded` for a value too deep or too long to validate further
 */
export function structuralFaults(value: unknown): { faults: Fault[]; isUnbounded: boolean } {
  const faults: Fault[] = []
  let isUnbounded = false
  const add = (path: PropertyKey[], message: string) => {
    if (faults.length < faultsMax) faults.push({ pointer: pointer(path), message })
  }
  const walk = (value: unknown, path: PropertyKey[]): void => {
    if (typeof value === 'string') {
      const message = textFault(value)
      if (message) add(path, message)
      return
    }
    if (typeof value !== 'object' || value === null) return
    if (path.length >= depthMax) {
      isUnbounded = true
      add(path, `must be nested at most ${depthMax} levels deep`)
      return
    }
    // Checked before `Object.entries`, because an array may have millions of items.
    const entries = Array.isArray(value) && value.length > itemsMax ? undefined : Object.entries(value)
    if (!entries || entries.length > itemsMax) {
      isUnbounded = true
      add(path, `must contain at most ${itemsMax} items`)
      return
    }
    for (const [key, item] of entries) {
      const message = key === '__proto__' ? unknownMessage('pointer') : textFault(key)
      if (message) add([...path, key], message)
      else walk(item, [...path, key])
    }
  }
  walk(value, [])
  return { faults, isUnbounded }
}
