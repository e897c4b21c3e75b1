// Reads the CSV of `firebase auth:export`, which has no header and, before May 2026, quotes that are not escaped.
import { type Line, readLines } from '../lines.ts'
import type { SourceRecord } from '../record.ts'
import { invalidFile } from '../row.ts'

// accountExporter.ts of firebase-tools: 28 columns, 52 since it knows more providers, and a comma behind the last one.
const columnCounts = [28, 52]
const columnsMax = 52
const names: [column: number, name: string][] = [
  [0, 'localId'],
  [1, 'email'],
  [2, 'emailVerified'],
  [3, 'passwordHash'],
  [4, 'salt'],
  [5, 'displayName'],
  [23, 'createdAt'],
  [25, 'phoneNumber'],
  [26, 'disabled'],
]
// A display name may hold line breaks. Some lines together have more text than any account.
const linesMax = 20
const charactersMax = 100_000

type Account = Record<string, unknown>

/** @throws ServiceError `invalid` if the file ends in the middle of an account */
export async function* readFirebaseCsv(bytes: AsyncIterable<Uint8Array>): AsyncIterable<SourceRecord[]> {
  const accounts = new AccountLines()
  for await (const lines of readLines(bytes)) {
    const records = lines.flatMap((line) => accounts.add(line))
    if (records.length > 0) yield records
  }
  const rest = accounts.refuseOpen()
  if (rest.length > 0) yield rest
}

class AccountLines {
  /** Lines that make no account so far. */
  #open: { line: number; texts: string[] } | undefined

  add(line: Line): SourceRecord[] {
    if (line.fault !== undefined) return [...this.refuseOpen(), { line: line.number, fault: line.fault }]
    const text = line.text.endsWith('\r') ? line.text.slice(0, -1) : line.text
    const alone = toAccount(text)
    if (alone) return [...this.refuseOpen(), { line: line.number, value: alone }]
    if (text === '' && !this.#open) return []
    const refused = (this.#open?.texts.length ?? 0) < linesMax ? [] : this.refuseOpen()
    const open = this.#open ?? { line: line.number, texts: [] }
    open.texts.push(text)
    const joined = toAccount(open.texts.join('\n'))
    this.#open = joined ? undefined : open
    if (joined) return [{ line: open.line, value: joined }]
    if (line.isUnterminated)
      throw invalidFile(`The file ends in the middle of line ${open.line}. Send the whole file.`)
    return refused
  }

  refuseOpen(): SourceRecord[] {
    if (!this.#open) return []
    const { line, texts } = this.#open
    this.#open = undefined
    const to = line + texts.length - 1
    return [{ line, fault: `must have the columns of a Firebase export; refused up to line ${to}` }]
  }
}

function toAccount(text: string): Account | undefined {
  if (text.length > charactersMax || !text.endsWith(',')) return undefined
  const { rest, claims } = withoutClaims(text.slice(0, -1))
  const cells = [split(rest, { isEscaped: true }), split(rest, { isEscaped: false })].find(isAccount)
  if (!cells) return undefined
  const fields = names.map(([column, name]): [string, string] => [name, cells[column] ?? ''])
  return { ...Object.fromEntries(fields), customAttributes: claims }
}

function isAccount(cells: string[]): boolean {
  return columnCounts.includes(cells.length) && cells[0] !== '' && /^(true|false)$/.test(cells[2] ?? '')
}

/** The claims are the only cell of JSON. Their quotes are doubled, except behind a backslash. */
function withoutClaims(text: string): { rest: string; claims: string } {
  const from = text.indexOf(',"{')
  const to = text.lastIndexOf('}"')
  if (from === -1 || to < from) return { rest: text, claims: '' }
  return {
    rest: text.slice(0, from + 1) + text.slice(to + 2),
    claims: text.slice(from + 2, to + 1).replaceAll('""', '"'),
  }
}

/** @param form.isEscaped quotes in a quoted cell are doubled; otherwise the first quote before a comma closes it */
function split(text: string, { isEscaped }: { isEscaped: boolean }): string[] {
  const cells: string[] = []
  // Hostile text may have a cell in every other character, and a long search for the quote of each.
  for (let at = 0; at <= text.length && cells.length <= columnsMax; at++) {
    const close = text[at] === '"' ? closingQuote(text, at + 1, isEscaped) : -1
    if (close === -1) {
      const comma = text.indexOf(',', at)
      const end = comma === -1 ? text.length : comma
      cells.push(text.slice(at, end))
      at = end
    } else {
      const cell = text.slice(at + 1, close)
      cells.push(isEscaped ? cell.replaceAll('""', '"') : cell)
      at = close + 1
    }
  }
  return cells
}

/** @returns -1 if none is before a comma or the end */
function closingQuote(text: string, from: number, isEscaped: boolean): number {
  for (let at = text.indexOf('"', from); at !== -1; at = text.indexOf('"', at + 1)) {
    if (isEscaped && text[at + 1] === '"') at++
    else if (at + 1 === text.length || text[at + 1] === ',') return at
  }
  return -1
}
