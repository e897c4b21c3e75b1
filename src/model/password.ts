// Passwords as text: the form in which two spellings of one password are equal, and their bounds.

export const passwordCharacters = { min: 8, max: 128 }

/** In UTF-16 units. No password is longer, so a longer text is refused before its content is looked at. */
export const passwordUnitsMax = 1_024

/**
 * The form in which a password is hashed and compared: the OpaqueString profile of RFC 8265, section 4.2.2. Spaces
 * of every kind become U+0020, then NFC; case and width stay. Preparing it twice changes nothing.
 * @param password at most some thousand UTF-16 units: the time for NFC grows with their square
 */
export function preparePassword(password: string): string {
  return password.replace(/\p{Zs}/gu, ' ').normalize('NFC')
}

/** RFC 8264, section 9.12, which OpaqueString's base class disallows. */
export function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text)
}
