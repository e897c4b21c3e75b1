// Turns the image a client sends into the avatar that is stored. Nothing of the sent bytes is kept: they
// are decoded by one of five decoders, scaled, and written anew as WebP.
import { hash } from 'node:crypto'
import { fairQueue } from '../connection/limits.ts'
import { ServiceError } from '../model/errors.ts'
import { avatarBytesMax } from '../model/user.ts'

type Sharp = typeof import('sharp')['default']

const pixelsMax = 40_000_000
/** The stored avatar fits into a square with sides of this many pixels. */
const sidePixelsMax = 512
const decodeSecondsMax = 5

// Parts that cost a few bytes to send and much time to decode, which the decoders' own time limit does not
// bound: at 40 megapixels each scan of a JPEG takes 7 ms, and the time for a WebP grows with the square of
// its frames. Encoders write about ten scans and some hundred frames. The limit on scans is generous, since
// their marker also turns up by chance in a photo's attachments, about once every 64 KiB.
const costlyParts = {
  jpeg: { mark: Buffer.of(0xff, 0xda), max: 200 },
  webp: { mark: Buffer.from('ANMF'), max: 5_000 },
}

// One at a time: an AVIF of 40 megapixels takes up to 1.2 GB and 2 s, and the other threads are for reads
// and passwords. A common photo takes 30 to 80 ms, so the last in the queue waits a few seconds, and where
// they take longer fewer may wait; those that wait hold up to 250 MiB.
const decoding = fairQueue(1, { waiting: 50, waitMsMax: 5_000 })

let codec: Promise<Sharp> | undefined

/**
 * Re-encodes an image as WebP that fits into 512 × 512 pixels: upright, in sRGB, without any metadata. Of
 * an animation the first frame is taken. The same bytes give the same result.
 *
 * @param bytes PNG, JPEG, WebP, GIF or AVIF; their first bytes decide, nothing else is believed
 * @returns the bytes to store, and their SHA-256 in hex
 * @throws ServiceError `too_large` above `avatarBytesMax`; `unsupported_media_type` for any other format;
 *   `undecodable` for what is broken, above 40 megapixels or takes too long; `overloaded`
 */
export async function toAvatar(bytes: Uint8Array): Promise<{ bytes: Uint8Array; sha256: string }> {
  if (bytes.length > avatarBytesMax) throw tooLarge()
  const format = sniff(bytes)
  if (!format)
    throw new ServiceError('unsupported_media_type', 'The image is not a PNG, JPEG, WebP, GIF or AVIF.')
  if ((format === 'jpeg' || format === 'webp') && exceeds(bytes, costlyParts[format])) throw undecodable()

  codec ??= loadCodec()
  const sharp = await codec
  return decoding('all', async () => {
    // The header is read without the limit on pixels, so that the caller can be told what is wrong.
    const header = await sharp(bytes, { pages: 1, limitInputPixels: false }).metadata().catch(refuse)
    if (header.format !== format) throw undecodable()
    if (header.width * header.height > pixelsMax)
      throw new ServiceError('undecodable', 'The image has more than 40 megapixels.')

    const stored = await sharp(bytes, {
      pages: 1,
      limitInputPixels: pixelsMax,
      autoOrient: true,
      // Refuses what is cut off. 'warning' would refuse photos of common phones too, whose headers bend
      // the JPEG standard but whose pixels are all there.
      failOn: 'error',
    })
      .timeout({ seconds: decodeSecondsMax })
      .resize(sidePixelsMax, sidePixelsMax, { fit: 'inside', withoutEnlargement: true })
      .webp()
      .toBuffer()
      .catch(refuse)
    return { bytes: stored, sha256: hash('sha256', stored, 'hex') }
  })
}

/**
 * Reads an image out of JSON text, strictly: base64 as in RFC 4648 section 4, with its padding and without
 * line breaks, in a `data:image/…;base64,…` URI or, where the form is `either`, on its own.
 *
 * @returns undefined where the text is not of that form
 * @throws ServiceError `too_large` for more than `avatarBytesMax`, judged before anything is decoded
 */
export function decodeBase64Image(text: string, form: 'data-uri' | 'either'): Uint8Array | undefined {
  const isUri = text.slice(0, 5).toLowerCase() === 'data:'
  if (!isUri && form === 'data-uri') return undefined
  const start = isUri ? dataUriPayloadStart(text) : 0
  if (start === undefined) return undefined

  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  if (Math.floor(((text.length - start) * 3) / 4) - padding > avatarBytesMax) throw tooLarge()
  const base64 = text.slice(start)
  const bytes = Buffer.from(base64, 'base64')
  // Buffer skips what is not base64; only well-formed text comes back as it was.
  return bytes.toString('base64') === base64 ? bytes : undefined
}

const dataUriHeader = /^data:image\/[a-z0-9.+-]+(?:;[a-z0-9.=_-]+)*;base64$/i
const dataUriHeaderLengthMax = 200

function dataUriPayloadStart(text: string): number | undefined {
  const comma = text.slice(0, dataUriHeaderLengthMax).indexOf(',')
  return comma !== -1 && dataUriHeader.test(text.slice(0, comma)) ? comma + 1 : undefined
}

/**
 * What the first bytes tell, by sharp's names, of the formats that are taken. AVIF is `heif` to sharp, as
 * HEIC is; the brands tell them apart.
 */
function sniff(bytes: Uint8Array): 'png' | 'jpeg' | 'webp' | 'gif' | 'heif' | undefined {
  const view = asBuffer(bytes)
  const text = (from: number, to: number) => view.toString('latin1', from, to)
  if (text(0, 8) === '\x89PNG\r\n\x1a\n') return 'png'
  if (text(0, 3) === '\xff\xd8\xff') return 'jpeg'
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'webp'
  if (text(0, 6) === 'GIF87a' || text(0, 6) === 'GIF89a') return 'gif'
  if (text(4, 8) === 'ftyp' && view.length >= 16) {
    // ISO 14496-12: the box's length, 'ftyp', the major brand, a version, then the compatible brands.
    const end = Math.min(view.readUInt32BE(0), view.length, 256)
    const brands = [text(8, 12)]
    for (let at = 16; at + 4 <= end; at += 4) brands.push(text(at, at + 4))
    if (brands.includes('avif') || brands.includes('avis')) return 'heif'
  }
  return undefined
}

function exceeds(bytes: Uint8Array, parts: { mark: Buffer; max: number }): boolean {
  const view = asBuffer(bytes)
  let count = 0
  for (let at = view.indexOf(parts.mark); at !== -1; at = view.indexOf(parts.mark, at + parts.mark.length))
    if (++count > parts.max) return true
  return false
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Loads sharp on first use, since few requests need it. What is set here holds for the whole process. */
async function loadCodec(): Promise<Sharp> {
  const { default: sharp } = await import('sharp')
  // No image is seen twice, so a cache would only hold memory.
  sharp.cache(false)
  // One thread an image: the other cores answer reads meanwhile.
  sharp.concurrency(1)
  // Of libvips's many decoders only those of the five formats may run, whatever the bytes pretend to be.
  sharp.block({ operation: ['VipsForeignLoad'] })
  sharp.unblock({
    operation: [
      'VipsForeignLoadPngBuffer',
      'VipsForeignLoadJpegBuffer',
      'VipsForeignLoadWebpBuffer',
      'VipsForeignLoadNsgifBuffer',
      'VipsForeignLoadHeifBuffer',
    ],
  })
  return sharp
}

function tooLarge(): ServiceError {
  return new ServiceError('too_large', 'The image is larger than 5 MB.')
}

function undecodable(cause?: unknown): ServiceError {
  return new ServiceError('undecodable', 'The image is broken or cannot be decoded.', { cause })
}

// The decoder's text is for the log alone.
function refuse(cause: unknown): never {
  throw undecodable(cause)
}
