// Text: case folding for uniqueness, sorting and search, independent of any database locale, and its validity.

const ascii = /^[\x20-\x7e]*$/

/**
 * Folds text for case-insensitive comparison: NFKC, then Unicode's full case mappings down, up and down again, which
 * unify ẞ, ß and SS. The final sigma becomes an ordinary one. Idempotent.
 */
export function fold(text: string): string {
  // Most names are ASCII, which NFKC and the upper case do not change.
  if (ascii.test(text)) return text.toLowerCase()
  const lower = text.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase()
  return lower.normalize('NFKC').replaceAll('ς', 'σ')
}

/** The length in Unicode code points, as JSON Schema counts it. */
export function codePointCount(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

/**
 * Whether a case-insensitive user pool treats two usernames as the same. It unifies less than `fold`: ß and ss
 * differ there.
 */
export function isSamePoolUsername(username: string, other: string): boolean {
  return username.toLowerCase() === other.toLowerCase()
}

/** @returns why PostgreSQL cannot store the text; undefined if it can */
export function textFault(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain the character NUL'
  if (!text.isWellFormed()) return 'must be well-formed Unicode, without lone surrogates'
  return undefined
}

/** Control characters are invisible, and passwords must not contain them (RFC 8264, section 9.12). */
export function controlCharacterFault(text: string): string | undefined {
  return /\p{Cc}/u.test(text)
    ? 'must not contain control characters, such as tabs and line breaks'
    : undefined
}
