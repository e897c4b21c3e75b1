// Splits a file into lines in bounded memory.
import { isUtf8 } from 'node:buffer'
import { invalidFile } from './row.ts'

/** The largest line or user of a file, in bytes. */
export const rowBytesMax = 1_000_000

export const tooLong = `must be at most ${rowBytesMax} bytes`
export const notUtf8 = 'must be UTF-8; save the file in UTF-8 and send it again'

/** A line without its line feed, or the reason why it cannot be read. */
export type Line = { number: number; isUnterminated: boolean } & (
  | { text: string; fault?: never }
  | { fault: string }
)

const lineFeed = 0x0a

/** Yields the lines of each chunk. Bytes of a line beyond `rowBytesMax` are discarded, so memory stays flat. */
export async function* readLines(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Line[]> {
  let number = 0
  let kept: Uint8Array[] = []
  let keptBytes = 0
  const finish = (rest: Uint8Array, isUnterminated = false): Line => {
    number++
    const length = keptBytes + rest.length
    const whole = keptBytes === 0 ? rest : Buffer.concat(kept)
    kept = []
    keptBytes = 0
    return length > rowBytesMax
      ? { number, isUnterminated, fault: tooLong }
      : toLine(asBuffer(whole), { number, isUnterminated })
  }
  for await (const part of bytes) {
    const chunk = asBuffer(part)
    const lines: Line[] = []
    let from = 0
    for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, from)) {
      if (keptBytes > 0 && keptBytes <= rowBytesMax) kept.push(chunk.subarray(from, end))
      lines.push(finish(chunk.subarray(from, end)))
      from = end + 1
    }
    if (from < chunk.length) {
      if (keptBytes <= rowBytesMax) kept.push(chunk.subarray(from))
      keptBytes += chunk.length - from
    }
    if (lines.length > 0) yield lines
  }
  if (keptBytes > 0) yield [finish(new Uint8Array(), true)]
}

function toLine(bytes: Buffer, place: { number: number; isUnterminated: boolean }): Line {
  const isFirst = place.number === 1
  if (isFirst && ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)))
    throw invalidFile('The file is in UTF-16. Save it in UTF-8 and send it again.')
  if (!isUtf8(bytes)) return { ...place, fault: notUtf8 }
  const text = bytes.toString()
  return { ...place, text: isFirst && text.startsWith('\uFEFF') ? text.slice(1) : text }
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
