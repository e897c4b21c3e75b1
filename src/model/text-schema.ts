// The schema of bounded text, and the checks from which other schemas of text are made.
import * as z from 'zod/mini'
import { codePointCount } from './text.ts'

type Text = z.core.ParsePayload<string>

/** Text of `min` to `max` Unicode code points, as JSON Schema counts; zod counts UTF-16 code units. */
export function text(min: number, max: number, describe: { description?: string; examples?: string[] } = {}) {
  return z
    .string()
    .check(atMostUnits(2 * max, lengthFault(min, max)), ofCharacters(min, max))
    .register(z.globalRegistry, { ...(min > 0 && { minLength: min }), maxLength: max, ...describe })
}

export function lengthFault(min: number, max: number): string {
  return min === 0 ? `must be at most ${max} characters` : `must be ${min} to ${max} characters`
}

/**
 * Rejects text by its length in UTF-16 code units, and skips the later checks. It comes first, because the cost of
 * checking the content may grow faster than the text.
 */
export function atMostUnits(max: number, message: string) {
  return (context: Text): void => {
    if (context.value.length > max) reject(context, message)
  }
}

export function ofCharacters(min: number, max: number) {
  return (context: Text): void => {
    const length = codePointCount(context.value)
    if (length < min || length > max) reject(context, lengthFault(min, max))
  }
}

/** Rejects text by the message that `faultOf` returns. */
export function without(faultOf: (text: string) => string | undefined) {
  return (context: Text): void => {
    const message = faultOf(context.value)
    if (message !== undefined) reject(context, message)
  }
}

function reject(context: Text, message: string): void {
  context.issues.push({ code: 'custom', input: context.value, message })
}
