// The schemas of a user's attributes: a flat object of text, numbers and booleans, whose keys the team chooses.
import * as z from 'zod/mini'
import { text } from './text-schema.ts'

export type Attributes = Record<string, string | number | boolean>
/** A merge patch (RFC 7396): null removes a key. */
export type AttributesPatch = Record<string, string | number | boolean | null>

const keysMax = 50
/** As UTF-8 JSON. */
const bytesMax = 8 * 1024
export const attributeTextMax = 512

const keyPattern = /^[a-z][a-z0-9_]{0,63}$/
const keyMessage = 'must have a name of 1 to 64 characters: a letter a–z, then a–z, 0–9 and _'
const valueMessage = `must be text of at most ${attributeTextMax} characters, a number or a boolean`

export const attributeKey = z.string().check(z.regex(keyPattern, keyMessage))

/** The message of a key that `attributeKey` rejects, for `z.record`. */
export function keyFault({ code }: z.core.$ZodRawIssue): string | undefined {
  return code === 'invalid_key' ? keyMessage : undefined
}

// Other systems, and this one, read a larger integer as another number (RFC 8259, section 6).
const numberMessage = 'must be from -(2^53 - 1) to 2^53 - 1; send it as text'
const number = z
  .number()
  .check(z.minimum(Number.MIN_SAFE_INTEGER, numberMessage), z.maximum(Number.MAX_SAFE_INTEGER, numberMessage))
  .register(z.globalRegistry, { description: 'Send a number beyond ±(2^53 - 1) as text.' })

const value = z.union([text(0, attributeTextMax), number, z.boolean()], {
  error: ({ input }) => (typeof input === 'number' ? numberMessage : valueMessage),
})

const description = `Up to ${keysMax} values under keys of your choice, and at most ${bytesMax} bytes as JSON.`
const examples = [{ department: 'Engines', locale: 'en-GB', floor: 3, remote: true }]

export const attributes = z
  .record(attributeKey, value, { error: keyFault })
  .check((context) => {
    const message = attributesFault(context.value)
    if (message !== undefined) context.issues.push({ code: 'custom', input: context.value, message })
  })
  .register(z.globalRegistry, { maxProperties: keysMax, description, examples })

/** The result of the patch must meet `attributesFault`. */
export const attributesPatch = z
  .record(attributeKey, z.nullable(value), { error: keyFault })
  .register(z.globalRegistry, {
    description: `${description} A missing key is kept, and null removes a key.`,
    examples,
  })

/** @returns why the attributes as a whole are too large; undefined if they are not */
export function attributesFault(attributes: Attributes): string | undefined {
  if (Object.keys(attributes).length > keysMax) return `must have at most ${keysMax} keys`
  if (Buffer.byteLength(JSON.stringify(attributes)) > bytesMax)
    return `must be at most ${bytesMax} bytes as JSON`
  return undefined
}

/** Applies a merge patch. */
export function mergeAttributes(current: Attributes, patch: AttributesPatch): Attributes {
  const merged = new Map(Object.entries(current))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, value)
  }
  return Object.fromEntries(merged)
}
