// The bounds of passwords, and their preparation for hashing.

export const passwordCharacters = { min: 8, max: 128 }

/** In UTF-16 code units. Longer text is rejected before its content is read. */
export const passwordUnitsMax = 1_024

/**
 * Prepares a password for hashing and comparison by the OpaqueString profile of RFC 8265, section 4.2.2: spaces of
 * every kind become U+0020, then NFC; case and width remain. Idempotent.
 * @param password at most some thousand UTF-16 code units, because NFC takes quadratic time
 */
export function preparePassword(password: string): string {
  return password.replace(/\p{Zs}/gu, ' ').normalize('NFC')
}
