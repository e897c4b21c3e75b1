// Reads the first bytes of a file of users, which may be compressed.

const bytesMax = 65_536

/** @returns the decompressed start; undefined for Zstandard, which browsers cannot decompress, and for damaged files */
export async function readFileStart(file: Blob): Promise<Uint8Array | undefined> {
  const start = file.slice(0, bytesMax)
  const magic = new Uint8Array(await start.slice(0, 4).arrayBuffer())
  // RFC 8878, section 3.1.1, and RFC 1952, section 2.3.1.
  if (magic[0] === 0x28 && magic[1] === 0xb5 && magic[2] === 0x2f && magic[3] === 0xfd) return undefined
  if (magic[0] !== 0x1f || magic[1] !== 0x8b) return new Uint8Array(await start.arrayBuffer())
  return readAtMost(start.stream().pipeThrough(new DecompressionStream('gzip')))
}

async function readAtMost(stream: ReadableStream<Uint8Array>): Promise<Uint8Array | undefined> {
  const reader = stream.getReader()
  const bytes = new Uint8Array(bytesMax)
  let length = 0
  try {
    while (length < bytesMax) {
      const { value, done } = await reader.read()
      if (done) break
      const part = value.subarray(0, bytesMax - length)
      bytes.set(part, length)
      length += part.length
    }
  } catch {
    // The compressed start is cut off, so its end is missing.
    if (length === 0) return undefined
  }
  await reader.cancel().catch(() => undefined)
  return bytes.subarray(0, length)
}
