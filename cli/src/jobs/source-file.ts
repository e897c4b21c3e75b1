// Reads a file of users, which may be compressed.
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import * as zlib from 'node:zlib'
import { CommandError } from '../exit-codes.ts'

export async function* readDecompressed(file: string): AsyncGenerator<Buffer> {
  const decompress = decompressor(await firstBytes(file))
  const source = createReadStream(file)
  if (!decompress) return yield* source
  source.on('error', (error) => decompress.destroy(error)).pipe(decompress)
  try {
    yield* decompress
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (!/^(Z_|ZSTD_)/.test(code)) throw error
    throw new CommandError('failed', `${file} is damaged or cut off, and cannot be decompressed.`)
  } finally {
    source.destroy()
  }
}

/** @returns the first bytes of the decompressed file, at least `length` unless it is shorter */
export async function readStart(file: string, length: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of readDecompressed(file)) {
    parts.push(part)
    bytes += part.length
    if (bytes >= length) break
  }
  return Buffer.concat(parts)
}

async function firstBytes(file: string): Promise<Buffer> {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** RFC 1952, section 2.3.1, and RFC 8878, section 3.1.1. */
function decompressor(first: Buffer): zlib.Gunzip | zlib.ZstdDecompress | undefined {
  const magic = first.toString('hex')
  if (magic.startsWith('1f8b')) return zlib.createGunzip()
  if (magic !== '28b52ffd') return undefined
  // Node 20 has no Zstandard.
  if (!('createZstdDecompress' in zlib))
    throw new CommandError(
      'failed',
      'Reading a .zst file needs Node 22.15 or newer. To import it without, name its --format.',
    )
  return zlib.createZstdDecompress()
}
