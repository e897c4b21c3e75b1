// Makes text from the service safe for a terminal, which would obey control characters in it.

// C0, DEL, C1, line separators, and characters that change the direction of the text around them.
const unsafe = /[\p{Cc}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/gu

/** @returns the text with control characters as escapes, such as `\u001b` */
export function printable(text: string): string {
  return text.replace(unsafe, escapeCharacter)
}

/** JSON that has the same value, in one line. `JSON.stringify` leaves some control characters as they are. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(unsafe, escapeCharacter)
}

function escapeCharacter(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`
}
