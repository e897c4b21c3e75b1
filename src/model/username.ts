// The bounds of a username, apart from its schema, because a function's start must not load zod.
import { textFault } from './text.ts'

/** In Unicode code points. */
export const usernameMax = 128

/**
 * In UTF-16 code units: a character has at most four, however it is decomposed (UAX #15, section 12). Longer text is
 * rejected before it is normalised, because NFKC takes quadratic time in the number of combining marks.
 */
export const usernameUnitsMax = 4 * usernameMax

/** Whether a user can have this username. */
export function canBeUsername(text: string): boolean {
  return text.length <= usernameUnitsMax && textFault(text) === undefined
}
