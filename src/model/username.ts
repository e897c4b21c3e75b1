// The bounds of a username. They are apart from its schema, because a function's start must not load zod.

/** In Unicode code points. */
export const usernameMax = 64

/**
 * In UTF-16 units: a character takes four at most, however it is decomposed (UAX #15, section 12). Longer text is
 * refused before its content is looked at: the time for NFKC grows with the square of its combining marks.
 */
export const usernameUnitsMax = 4 * usernameMax

/** Whether a record can have this username. PostgreSQL refuses NUL, and text that is not well-formed. */
export function canBeUsername(text: string): boolean {
  return text.length <= usernameUnitsMax && !text.includes('\0') && text.isWellFormed()
}
