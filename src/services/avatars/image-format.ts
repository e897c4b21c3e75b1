// Recognises an image format by its bytes, without decoding. It imports nothing, because the decoder process loads it too.

/** The format names of sharp, which calls both AVIF and HEIC `heif`; `sniffFormat` accepts AVIF only. */
export type ImageFormat = 'png' | 'jpeg' | 'webp' | 'gif' | 'heif'

/** @returns undefined for unsupported formats */
export function sniffFormat(bytes: Uint8Array): ImageFormat | undefined {
  const view = asBuffer(bytes)
  const text = (from: number, to: number) => view.toString('latin1', from, to)
  if (text(0, 8) === '\x89PNG\r\n\x1a\n') return 'png'
  if (text(0, 3) === '\xff\xd8\xff') return 'jpeg'
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'webp'
  if (text(0, 6) === 'GIF87a' || text(0, 6) === 'GIF89a') return 'gif'
  if (text(4, 8) === 'ftyp' && view.length >= 16) {
    // ISO 14496-12, section 4.3: the box's length, 'ftyp', the major brand, a version, the compatible brands.
    const end = Math.min(view.readUInt32BE(0), view.length, 256)
    const brands = [text(8, 12)]
    for (let at = 16; at + 4 <= end; at += 4) brands.push(text(at, at + 4))
    if (brands.includes('avif') || brands.includes('avis')) return 'heif'
  }
  return undefined
}

// A few bytes can cost much decoding time: each scan of a 40-megapixel JPEG takes 7 ms, and the time for a WebP grows
// with the square of its frames. Encoders write about ten scans and some hundred frames; a scan marker also occurs by
// chance about once in 64 KiB.
const expensiveParts = {
  jpeg: { mark: Buffer.of(0xff, 0xda), max: 200 },
  webp: { mark: Buffer.from('ANMF'), max: 5_000 },
}

/** @returns whether the image has more scans or frames than any encoder writes */
export function hasTooManyParts(bytes: Uint8Array, format: ImageFormat): boolean {
  if (format !== 'jpeg' && format !== 'webp') return false
  const { mark, max } = expensiveParts[format]
  const view = asBuffer(bytes)
  let count = 0
  for (let at = view.indexOf(mark); at !== -1; at = view.indexOf(mark, at + mark.length))
    if (++count > max) return true
  return false
}

/** @returns the same bytes, not copied */
export function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
