// The form of text in cells of our CSV: no spreadsheet takes it for a formula, and it is read back exactly.

// OWASP's list for CSV injection, with the line feed and the full-width forms that Excel takes too.
const formulaSigns = new Set('=+-@\t\r\n＝＋－＠')

/** Puts an apostrophe before text that begins like a formula or with an apostrophe, and in place of empty text. */
export function protectText(text: string): string {
  return text === '' || isProtected(text[0]) ? `'${text}` : text
}

/** @returns the text that `protectText` was given; undefined for an empty cell, which has no value */
export function textOfCell(cell: string): string | undefined {
  if (cell === '') return undefined
  return cell[0] === "'" && (cell.length === 1 || isProtected(cell[1])) ? cell.slice(1) : cell
}

function isProtected(character: string | undefined): boolean {
  return character !== undefined && (character === "'" || formulaSigns.has(character))
}
