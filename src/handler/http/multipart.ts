// Reads the one file of a multipart/form-data body (RFC 7578). A streaming parser does the work. Before it sees
// a byte, the delimiter lines are found here: that bounds the parts and removes the padding it does not know.
import { MIMEType } from 'node:util'
import { type Fault, invalid } from '../../model/errors.ts'

// Clients send a handful of fields beside the file. The parser makes a stream for each part.
const partsMax = 20
const headerBytesMax = 8 * 1024
const headerPairsMax = 30
// Parsing takes a few milliseconds and waits for nothing, so this only ends a parser that is stuck.
const parseMsMax = 5_000

/**
 * @param body the whole body, in memory
 * @returns the file's bytes. An empty part without a filename is none: browsers send it for an input left empty
 * @throws ServiceError `invalid` for a body that is not well-formed, has too many parts or not exactly one file
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
  // The parser skips parts that it cannot read, which would hide a second file.
  if (form?.parts !== parts) throw invalid(malformed)
  const [file, ...more] = form.files
  if (!file || more.length > 0) throw invalid({ pointer: '', message: 'must hold exactly one file' })
  return file
}

const malformed: Fault = {
  pointer: '',
  message:
    'is not well-formed multipart/form-data: lines must end with CRLF, each part needs Content-Disposition: form-data, and the last line is the boundary between two pairs of dashes',
}

/** Senders use more characters than RFC 2046, section 5.1.1, has; these can be quoted as they are. */
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
 * Finds the delimiter lines. RFC 2046, section 5.1.1: a delimiter is at the start of a line, and spaces and tabs may
 * follow it; what comes before the first and after the last is ignored.
 * @returns the body as pieces without that padding, up to the last delimiter, and how many parts it has
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
    if (++parts > partsMax)
      throw invalid({ pointer: '', message: `has too many parts; at most ${partsMax} are taken` })
    let next = end
    while (body[next] === 0x20 || body[next] === 0x09) next++
    if (body.toString('latin1', next, next + 2) !== '\r\n') break
    if (!body.subarray(next, next + headerBytesMax).includes('\r\n\r\n'))
      throw invalid({
        pointer: '',
        message: `has a part whose headers do not end within ${headerBytesMax} bytes; an empty line must end them`,
      })
    pieces.push(body.subarray(from, end))
    from = next
    const at = body.indexOf(delimiter, next)
    if (at === -1) break
    end = at + delimiter.length
  }
  throw invalid(malformed)
}

/** @throws Error that the parser reports */
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
    timer = setTimeout(() => reject(new Error('the multipart parser is stuck')), parseMsMax)
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
