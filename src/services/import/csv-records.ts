// Splits a CSV file (RFC 4180) into records in bounded memory. Cells may also be separated by semicolons or tabs, as
// spreadsheets of many countries write them.
import { TextDecoder } from 'node:util'
import Papa from 'papaparse'
import { rowBytesMax } from './lines.ts'
import { invalidFile } from './row.ts'

export type CsvRecord = {
  /** The 1-based line where the record begins. */
  line: number
  cells: string[]
  /** The last line of a record with a quote that is not doubled, so that its cells may hold further records. */
  malformedTo: number | undefined
}

/** @param columns the number of the header's cells. @returns why the record cannot be read, if so */
export function recordFault({ cells, malformedTo }: CsvRecord, columns: number): string | undefined {
  if (malformedTo !== undefined)
    return `must double each quote inside a quoted cell; refused up to line ${malformedTo}`
  if (cells.length !== columns) return `must have ${columns} cells like the header; it has ${cells.length}`
  return undefined
}

// A record that is not complete yet is parsed again with each step, so the steps must not be small.
const stepCharacters = 65_536

/**
 * Yields the records of each step; empty lines are left out. Quoted cells may contain line breaks.
 * @throws ServiceError `invalid` for a record over `rowBytesMax`, bytes that are not UTF-8, a missing quote, and a
 * header with several separators
 */
export async function* readCsv(bytes: AsyncIterable<Uint8Array>): AsyncIterable<CsvRecord[]> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const parser = new RecordParser()
  let text = ''
  let parseAt = stepCharacters
  for await (const chunk of bytes) {
    text += decode(decoder, parser.line, chunk)
    if (text.length < parseAt) continue
    const { records, rest } = parser.parse(text)
    text = rest
    parseAt = text.length + stepCharacters
    if (text.length > rowBytesMax) throw parser.tooLong()
    if (records.length > 0) yield records
  }
  text += decode(decoder, parser.line)
  const records = parser.parseEnd(text)
  if (records.length > 0) yield records
}

function decode(decoder: TextDecoder, line: number, chunk?: Uint8Array): string {
  try {
    return decoder.decode(chunk, { stream: chunk !== undefined })
  } catch (error) {
    throw invalidFile(
      `The file is not in UTF-8, at line ${line} or later. Save it in UTF-8 and send it again.`,
      error,
    )
  }
}

class RecordParser {
  /** Of the next record. */
  line = 1
  #form: { newline: '\n' | '\r' | '\r\n'; delimiter: string } | undefined

  /** @returns the complete records, and the text of the last one, which may continue */
  parse(text: string): { records: CsvRecord[]; rest: string } {
    const { data, errors, cursor } = this.#run(text, true)
    return {
      records: this.#records(data, errors, occurrences(text.slice(0, cursor), this.#lineBreak) > data.length),
      rest: text.slice(cursor),
    }
  }

  parseEnd(text: string): CsvRecord[] {
    const { data, errors } = this.#run(text, false)
    // The last record ends with the file.
    const records = this.#records(data, errors, occurrences(text, this.#lineBreak) >= data.length)
    if (errors.some(({ code }) => code === 'MissingQuotes'))
      throw invalidFile(
        `The file ends inside a quoted cell of the record in line ${records.at(-1)?.line ?? this.line}. Close its quotes, or send the whole file.`,
      )
    return records
  }

  tooLong(): Error {
    return invalidFile(
      `The record in line ${this.line} has more than ${rowBytesMax} characters. Close the quotes of its cells.`,
    )
  }

  #run(text: string, hasMore: boolean): { data: string[][]; errors: Papa.ParseError[]; cursor: number } {
    this.#form ??= { newline: newlineOf(text), delimiter: delimiterOf(text) }
    const parser = new Papa.Parser(this.#form)
    const { data, errors, meta } = parser.parse(text, 0, hasMore)
    return { data, errors, cursor: meta.cursor }
  }

  get #lineBreak(): '\n' | '\r' {
    return this.#form?.newline === '\r' ? '\r' : '\n'
  }

  #records(data: string[][], errors: Papa.ParseError[], hasLineBreaks: boolean): CsvRecord[] {
    const malformed = new Set(errors.map(({ row }) => row))
    const records: CsvRecord[] = []
    for (const [index, cells] of data.entries()) {
      const line = this.line
      this.line += 1
      if (hasLineBreaks) for (const cell of cells) this.line += occurrences(cell, this.#lineBreak)
      const last = cells.at(-1)
      // Another part of the file has line ends of the other kind.
      if (this.#form?.newline === '\n' && last?.endsWith('\r')) cells[cells.length - 1] = last.slice(0, -1)
      const malformedTo = malformed.has(index) ? this.line - 1 : undefined
      if (cells.length > 1 || cells[0] !== '') records.push({ line, cells, malformedTo })
    }
    return records
  }
}

/** The first line end decides, as the header has no quoted line breaks. */
function newlineOf(text: string): '\n' | '\r' | '\r\n' {
  const at = text.search(/[\r\n]/)
  if (text[at] !== '\r') return '\n'
  return text[at + 1] === '\n' ? '\r\n' : '\r'
}

const separators = [
  { delimiter: ',', name: 'commas' },
  { delimiter: ';', name: 'semicolons' },
  { delimiter: '\t', name: 'tabs' },
]

/** The header decides, by what is outside of its quoted names. */
function delimiterOf(text: string): string {
  // The first parse has at least this much, however the file is split.
  const [line = ''] = text.slice(0, stepCharacters).split(/[\r\n]/, 1)
  const names = line.replaceAll(/"[^"]*"/g, '')
  const found = separators.filter(({ delimiter }) => names.includes(delimiter))
  if (found.length > 1)
    throw invalidFile(
      `The first line has ${found.map(({ name }) => name).join(' and ')} between its names. Separate all cells by one of them, and quote a name that has another.`,
    )
  return found[0]?.delimiter ?? ','
}

function occurrences(text: string, character: string): number {
  let count = 0
  for (let at = text.indexOf(character); at !== -1; at = text.indexOf(character, at + 1)) count++
  return count
}
