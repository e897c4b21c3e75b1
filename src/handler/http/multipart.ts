// Reads the one file of a multipart/form-data body (RFC 7578). Busboy parses it. The delimiter lines are found here first,
// to limit the number of parts and to remove padding that Busboy does not support.
import { MIMEType } from 'node:util'
import { type Fault, invalid } from '../../model/errors.ts'

// Clients send a few fields beside the file. The limit exists because the parser creates a stream for each part.
const partsMax = 20
const headerBytesMax = 8 * 1024
const headerPairsMax = 30
// Parsing takes milliseconds and does no I/O, so only a hanging parser reaches this limit.
const parseMsMax = 5_000

/**
 * @returns the file's bytes. An empty part without a filename is not a file: browsers send it for an empty input.
 * @throws ServiceError `invalid` if the body is malformed, has too many parts or not exactly one file
 */
export async function readFormFile(
  { buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>,
  contentType: string,
): Promise<Uint8Array> {
  const boundary = readBoundary(contentType)
  if (boundary === undefined)
    throw invalid({
      header: 'content-type',
      message: 'must have a boundary of 1 to 70 ASCII characters for multipart/form-data',
    })
  const { pieces, parts } = findParts(Buffer.from(buffer, byteOffset, byteLength), boundary)
  const form = await parse(pieces, boundary).catch(() => undefined)
  // The parser skips parts that it cannot read, and could skip a second file.
  if (form?.parts !== parts) throw invalid(malformed)
  const [file, ...more] = form.files
  if (!file || more.length > 0) throw invalid({ pointer: '', message: 'must contain exactly one file' })
  return file
}

const malformed: Fault = {
  pointer: '',
  message:
    'must be well-formed multipart/form-data: end lines with CRLF, give each part Content-Disposition: form-data, and close with the boundary between two pairs of dashes',
}

/** Clients use more characters than RFC 2046, section 5.1.1, allows. These need no escape within quotes. */
const boundaryForm = /^(?:(?!["\\])[ -~]){1,70}$/

function readBoundary(contentType: string): string | undefined {
  try {
    const boundary = new MIMEType(contentType).params.get('boundary')
    return boundary && boundaryForm.test(boundary) ? boundary : undefined
  } catch {
    return undefined
  }
}

/**
 * Finds the delimiter lines (RFC 2046, section 5.1.1). A delimiter starts a line, and spaces and tabs may follow it.
 * Text before the first and after the last delimiter is ignored.
 * @returns the body in pieces without that padding, up to the last delimiter, and the number of its parts
 */
function findParts(body: Buffer, boundary: string): { pieces: Buffer[]; parts: number } {
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  const isAtStart = body.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2))
  const pieces: Buffer[] = []
  let parts = 0
  let from = isAtStart ? 0 : body.indexOf(delimiter)
  let end = isAtStart ? delimiter.length - 2 : from + delimiter.length
  while (from !== -1) {
    if (body.toString('latin1', end, end + 2) === '--') {
      pieces.push(body.subarray(from, end + 2))
      return { pieces, parts }
    }
    if (++parts > partsMax) throw invalid({ pointer: '', message: `must have at most ${partsMax} parts` })
    let next = end
    while (body[next] === 0x20 || body[next] === 0x09) next++
    if (body.toString('latin1', next, next + 2) !== '\r\n') break
    if (!body.subarray(next, next + headerBytesMax).includes('\r\n\r\n'))
      throw invalid({
        pointer: '',
        message: `must have at most ${headerBytesMax} bytes of headers in each part, ended by an empty line`,
      })
    pieces.push(body.subarray(from, end))
    from = next
    const at = body.indexOf(delimiter, next)
    if (at === -1) break
    end = at + delimiter.length
  }
  throw invalid(malformed)
}

/** @throws Error as the parser reports it */
async function parse(pieces: Buffer[], boundary: string): Promise<{ files: Buffer[]; parts: number }> {
  // A bundle gives a CommonJS package's names below `default` only.
  const { Busboy } = (await import('@fastify/busboy')).default
  const parser = new Busboy({
    headers: { 'content-type': `multipart/form-data; boundary="${boundary}"` },
    limits: { parts: partsMax, headerPairs: headerPairsMax, headerSize: headerBytesMax },
  })
  const files: Buffer[] = []
  let parts = 0
  let timer: NodeJS.Timeout | undefined
  const done = new Promise<void>((resolve, reject) => {
    timer = setTimeout(() => reject(new Error('the multipart parser timed out')), parseMsMax)
    parser.on('file', (_field, stream, filename) => {
      parts++
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('error', reject)
      stream.on('end', () => {
        const bytes = Buffer.concat(chunks)
        if (bytes.length > 0 || filename) files.push(bytes)
      })
    })
    parser.on('field', () => void parts++)
    parser.on('error', reject)
    parser.on('finish', resolve)
    for (const piece of pieces) parser.write(piece)
    parser.end()
  })
  await done.finally(() => clearTimeout(timer))
  return { files, parts }
}
