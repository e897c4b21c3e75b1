// Decompresses import files, in bounded memory and to a bounded size.
import { once } from 'node:events'
import { pipeline, Readable } from 'node:stream'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { peek } from './peek.ts'
import { invalidFile } from './row.ts'

type Decoder = ReturnType<typeof createGunzip | typeof createZstdDecompress>

// The decoder keeps a window of this size in memory. Only `zstd --ultra` and `zstd --long` need more.
const zstdWindowLogMax = 25
// Exports of users compress 5 to 30 times. A small result is harmless whatever its ratio.
const ratioMax = 200
const anyRatioBytes = 64 * 1024 * 1024
const chunkSize = 64 * 1024
const magicBytes = 4

/**
 * Recognises gzip (RFC 1952) and Zstandard (RFC 8878) by their first bytes. Other files pass unchanged.
 * @param limits.bytesMax of the decompressed file
 * @throws ServiceError `invalid` for archives, damaged or cut-off data, a result over the limit, and a suspicious ratio
 */
export async function* decompress(
  bytes: AsyncIterable<Uint8Array>,
  { bytesMax }: { bytesMax: number },
): AsyncIterable<Uint8Array> {
  const { start, whole } = await peek(bytes, magicBytes)
  const archive = archives[start.toString('hex', 0, magicBytes)]
  let readBytes = 0
  async function* source(): AsyncIterable<Uint8Array> {
    for await (const chunk of whole) {
      // Within the loop, so that the error closes the file.
      if (archive !== undefined) throw archiveFault(archive)
      readBytes += chunk.length
      yield chunk
    }
  }
  const decoder = decoderFor(start)
  let decodedBytes = 0
  for await (const chunk of decoder ? decode(source(), decoder) : source()) {
    decodedBytes += chunk.length
    if (decodedBytes > bytesMax)
      throw invalidFile(`The file has more than ${bytesMax} bytes of data. Split it into several files.`)
    if (decodedBytes > anyRatioBytes && decodedBytes > ratioMax * readBytes)
      throw invalidFile(`The file decompresses to over ${ratioMax} times its size. Send it uncompressed.`)
    yield chunk
  }
  // Node ignores what follows the first frame of Zstandard, and zeros after gzip.
  if (decoder && decoder.bytesWritten < readBytes)
    throw invalidFile('The compressed file has data after its end. Compress all data as one file.')
}

// The first bytes of archives, in hexadecimal. No text begins with them.
const archives: Record<string, string> = {
  '504b0304': 'a ZIP archive or a spreadsheet',
  fd377a58: 'compressed by xz',
  '377abcaf': 'a 7z archive',
}

function archiveFault(what: string): Error {
  return invalidFile(
    `The file is ${what}. Send the CSV or JSON in it, as it is or compressed by gzip or Zstandard.`,
  )
}

function decoderFor(start: Buffer): Decoder | undefined {
  if (start.length >= 2 && start.readUInt16BE() === 0x1f8b) return createGunzip({ chunkSize })
  if (start.length >= magicBytes && start.readUInt32LE() === 0xfd2fb528)
    return createZstdDecompress({
      chunkSize,
      params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax },
    })
  return undefined
}

async function* decode(source: AsyncIterable<Uint8Array>, decoder: Decoder): AsyncIterable<Uint8Array> {
  const input = Readable.from(source, { objectMode: false })
  // The decoder reports every error of the pipeline to the loop below.
  pipeline(input, decoder, () => {})
  try {
    for await (const chunk of decoder) yield chunk
  } catch (error) {
    throw decodingFault(error)
  } finally {
    input.destroy()
    // Its error has been thrown above.
    if (!input.closed) await Promise.allSettled([once(input, 'close')])
  }
}

/** Errors of the source itself pass through. */
function decodingFault(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'Z_BUF_ERROR')
    return invalidFile('The compressed file is cut off. Send the whole file.', error)
  if (code === 'ZSTD_error_frameParameter_windowTooLarge')
    return invalidFile(
      'The file was compressed with a too large window. Compress it without --ultra or --long.',
      error,
    )
  if (/^(Z_|ZSTD_)/.test(code)) return invalidFile('The compressed file is damaged. Send it again.', error)
  return error
}
