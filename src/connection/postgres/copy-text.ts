// Writes rows in the text format of COPY: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2

/** One row with its line feed. Objects are written as JSON. */
export function copyRow(values: unknown[]): string {
  let row = ''
  for (let at = 0; at < values.length; at++) row += (at === 0 ? '' : '\t') + copyValue(values[at])
  return `${row}\n`
}

const special = /[\\\n\r\t]/
const escapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function copyValue(value: unknown): string {
  if (value === null || value === undefined) return '\\N'
  if (typeof value === 'string') return escapeText(value)
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'object' ? escapeText(JSON.stringify(value)) : String(value)
}

function escapeText(text: string): string {
  return special.test(text) ? text.replace(/[\\\n\r\t]/g, (character) => escapes[character] ?? '') : text
}
