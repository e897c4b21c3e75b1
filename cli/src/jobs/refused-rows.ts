// Writes the refused rows of an import to a file that can be corrected and imported again, and the reasons beside it.
import { createWriteStream, type WriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import type { RefusedRow } from '../../../client/src/index.ts'
import { printable } from '../output/printable.ts'
import { readDecompressed } from './source-file.ts'

export type RefusedFiles = {
  /** The rows as they were; absent for one JSON document, whose rows are no lines. */
  rows: string | undefined
  reasons: string
}

/** How the rows of a file are found again. */
type Form = 'lines' | 'csv' | 'csv with header' | 'document'

type RowsTask = { format: string; lines: Set<number>; target: string }

const linesOf: Record<string, Form> = {
  ndjson: 'lines',
  auth0: 'lines',
  csv: 'csv with header',
  clerk: 'csv with header',
  supabase: 'csv with header',
  cognito: 'csv with header',
  // Firebase writes no header, and does not escape quotes.
  firebase: 'lines',
  keycloak: 'document',
}

/**
 * @param file the file that was imported, perhaps compressed
 * @param faults in the order of the file
 */
export async function writeRefusedRows(
  file: string,
  { format, faults }: { format: string; faults: AsyncIterable<RefusedRow> },
): Promise<RefusedFiles> {
  const [, base = file, extension = ''] = /^(.*?)(\.[a-z0-9]+)?(?:\.gz|\.zst)?$/i.exec(file) ?? []
  const reasons = `${base}.refused.txt`
  const target = `${base}.refused${extension}`
  try {
    const lines = await writeReasons(reasons, faults)
    const hasRows = await writeRows(file, { format, lines, target })
    return { rows: hasRows ? target : undefined, reasons }
  } catch (error) {
    // A part could be taken for the whole. On a full disk it would also be in the way.
    for (const path of [reasons, target]) await rm(path, { force: true })
    throw error
  }
}

/** The rows may hold hashes, so only the owner may read them. */
function create(path: string): WriteStream {
  return createWriteStream(path, { mode: 0o600 })
}

async function writeReasons(path: string, faults: AsyncIterable<RefusedRow>): Promise<Set<number>> {
  const lines = new Set<number>()
  const describe = async function* () {
    for await (const { line, pointer, message } of faults) {
      lines.add(line)
      yield `line ${line}  ${printable(`${pointer} ${message}`.trim())}\n`
    }
  }
  await pipeline(describe, create(path))
  return lines
}

/** @returns whether the file has rows that can be copied */
async function writeRows(file: string, { format, lines, target }: RowsTask): Promise<boolean> {
  let form = linesOf[format] ?? 'document'
  const start = await firstCharacter(readDecompressed(file))
  if (form === 'csv with header' && format === 'cognito' && /[[{]/.test(start)) form = 'document'
  if (format === 'firebase' && start === '{') form = 'document'
  if (format === 'auth0' && start === '[') form = 'document'
  if (form === 'document') return false
  await pipeline(() => copyRows(readDecompressed(file), { form, lines }), create(target))
  return true
}

const newline = 0x0a
const quote = 0x22

/** Copies the rows that begin at the given lines. Rows of any length pass without being held. */
async function* copyRows(
  bytes: AsyncIterable<Buffer>,
  { form, lines }: { form: Form; lines: Set<number> },
): AsyncGenerator<Buffer> {
  let line = 1
  let isCopied = lines.has(1) || form === 'csv with header'
  // In CSV a newline within quotes belongs to the row. An escaped quote counts twice, which changes nothing.
  let isQuoted = false
  for await (const chunk of bytes) {
    let from = 0
    for (let at = 0; at < chunk.length; at++) {
      if (isCopied && chunk[at] === quote && form !== 'lines') isQuoted = !isQuoted
      if (chunk[at] !== newline) continue
      line++
      if (isQuoted) continue
      const isNext = lines.has(line)
      if (isNext === isCopied) continue
      if (isCopied) yield chunk.subarray(from, at + 1)
      from = at + 1
      isCopied = isNext
    }
    if (isCopied) yield chunk.subarray(from)
  }
}

async function firstCharacter(bytes: AsyncIterable<Buffer>): Promise<string> {
  for await (const chunk of bytes) {
    // A byte order mark and white space may come first.
    const [character] = chunk.toString('utf8').replace(/^\uFEFF?\s*/, '')
    if (character !== undefined) return character
  }
  return ''
}
