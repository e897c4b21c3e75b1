// Turns an image from a client into the avatar that is stored. No byte of the original is kept: the image is decoded,
// scaled and encoded again as WebP.
import { hash } from 'node:crypto'
import { ServiceError } from '../../model/errors.ts'
import { avatarBytesMax } from '../../model/user.ts'
import { fairQueue } from '../../platform/queue.ts'
import { tooLarge } from './base64-image.ts'
import { decodeImage, undecodable } from './image-decoder.ts'
import { hasTooManyParts, sniffFormat } from './image-format.ts'

// A caller uses one of the two processes at most, so a slow image delays no other caller. A common photo takes 30 to
// 100 ms, so the last in the queue waits a few seconds. The queue holds up to 250 MiB.
const decoding = fairQueue(2, { waiting: 50, waitMsMax: 5_000, runningPerShare: 1 })

/**
 * Encodes an image as WebP within 512 × 512 pixels: upright, in sRGB, without metadata, and the first frame of an
 * animation. The same bytes give the same result.
 * @param bytes PNG, JPEG, WebP, GIF or AVIF, recognised by their first bytes alone
 * @param share the key of the caller
 * @returns the bytes to store, and their SHA-256 in hex
 * @throws ServiceError `too_large` above `avatarBytesMax`; `unsupported_media_type` for any other format; `overloaded`;
 *   `undecodable` for images that are broken, above 40 megapixels, longer than 16,384 pixels, or too slow to decode
 */
export async function toAvatar(
  bytes: Uint8Array,
  share: string,
): Promise<{ bytes: Uint8Array; sha256: string }> {
  if (bytes.length > avatarBytesMax) throw tooLarge()
  const format = sniffFormat(bytes)
  if (!format)
    throw new ServiceError(
      'unsupported_media_type',
      'The image format is not supported. Send PNG, JPEG, WebP, GIF or AVIF.',
    )
  if (hasTooManyParts(bytes, format)) throw undecodable()
  return decoding(share, async () => {
    const stored = await decodeImage(bytes)
    return { bytes: stored, sha256: hash('sha256', stored, 'hex') }
  })
}
