// The form of an e-mail address.

/** RFC 5321, section 4.5.3.1.3: a path has 256 octets with its angle brackets. */
const charactersMax = 254
const localCharactersMax = 64

// HTML's rule for one address (https://html.spec.whatwg.org/#valid-e-mail-address), with the letters of all scripts
// (RFC 6531). It excludes quoted local parts, comments and address literals.
const label = '[\\p{L}\\p{N}](?:[\\p{L}\\p{M}\\p{N}-]{0,61}[\\p{L}\\p{M}\\p{N}])?'
const address = new RegExp(
  `^[\\p{L}\\p{M}\\p{N}.!#$%&'*+/=?^_\`{|}~-]{1,${localCharactersMax}}@${label}(?:\\.${label})*$`,
  'u',
)

/** Whether the text has the form of one e-mail address. Says nothing about its delivery. */
export function isEmailAddress(text: string): boolean {
  return text.length <= 2 * charactersMax && [...text].length <= charactersMax && address.test(text)
}
