// Checks input against a schema and reports every fault found, each with its place and in plain words.
import type * as z from 'zod/mini'
import type { Fault } from './errors.ts'

type Place = { kind: 'pointer' | 'parameter' }

// An answer with more faults than this helps nobody, and costs memory.
const faultsMax = 100

/** The value as the schema gives it on, or the faults (never empty). */
export type Checked<T> = { value: T } | { faults: Fault[] }

export function check<T>(schema: z.ZodMiniType<T>, input: unknown, kind: Place['kind']): Checked<T> {
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

export function unknownMessage(kind: Place['kind']): string {
  return `is not a known ${kind === 'pointer' ? 'field' : 'parameter'}; remove it`
}

function fault(kind: Place['kind'], path: PropertyKey[], message: string): Fault {
  if (kind === 'parameter') return { parameter: String(path[0] ?? ''), message }
  return { pointer: pointer(path), message }
}

/** RFC 6901. */
function pointer(path: PropertyKey[]): string {
  return path.map((part) => `/${shorten(String(part)).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

// A hostile key must not come back at full length, nor as text that is not well-formed.
function shorten(part: string): string {
  return (part.length > 100 ? `${part.slice(0, 100)}…` : part).toWellFormed()
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
    default:
      return 'is not valid'
  }
}

function article(type: string): string {
  if (type === 'object' || type === 'array') return `an ${type}`
  return `a ${type}`
}

function unique<T>(value: T, at: number, all: T[]): boolean {
  return all.indexOf(value) === at
}

const depthMax = 8
const itemsMax = 1_000

/**
 * What no field of ours may hold, found before any schema looks: nesting and lists without end, text
 * that PostgreSQL cannot store (NUL, lone surrogates), and `__proto__`, which a schema would pass over.
 * `isBoundless` says that the value is too deep or too long to be worth another look.
 */
export function structuralFaults(value: unknown): { faults: Fault[]; isBoundless: boolean } {
  const faults: Fault[] = []
  let isBoundless = false
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
      isBoundless = true
      add(path, 'is nested too deep')
      return
    }
    // A list's length is looked at before its keys are made: it may hold millions.
    const entries = Array.isArray(value) && value.length > itemsMax ? undefined : Object.entries(value)
    if (!entries || entries.length > itemsMax) {
      isBoundless = true
      add(path, `must hold at most ${itemsMax} items`)
      return
    }
    for (const [key, item] of entries) {
      if (key === '__proto__') add([...path, key], unknownMessage('pointer'))
      else walk(item, [...path, key])
    }
  }
  walk(value, [])
  return { faults, isBoundless }
}

export function textFault(text: string): string | undefined {
  if (text.includes('\0')) return 'must not hold the character NUL'
  if (!text.isWellFormed()) return 'must be well-formed Unicode (no lone surrogates)'
  return undefined
}
