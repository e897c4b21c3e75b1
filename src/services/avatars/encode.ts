// Turns the image a client sends into the avatar that is stored. Nothing of the sent bytes is kept: they
// are decoded by one of five decoders, scaled, and written anew as WebP.
import { hash } from 'node:crypto'
import { ServiceError } from '../../model/errors.ts'
import { avatarBytesMax } from '../../model/user.ts'
import { fairQueue } from '../../platform/queue.ts'
import { tooLarge } from './base64-image.ts'
import { decodeImage, undecodable } from './image-decoder.ts'
import { hasTooManyParts, sniffFormat } from './image-format.ts'

// Two processes decode, and one caller has one of them at most: nobody waits behind another's image, however slow.
// A common photo takes 30 to 100 ms, so the last in the queue waits a few seconds, and where photos take longer
// fewer may wait. Those that wait hold up to 250 MiB.
const decoding = fairQueue(2, { waiting: 50, waitMsMax: 5_000, runningPerShare: 1 })

/**
 * Re-encodes an image as WebP that fits into 512 × 512 pixels: upright, in sRGB, without any metadata. Of
 * an animation the first frame is taken. The same bytes give the same result.
 *
 * @param bytes PNG, JPEG, WebP, GIF or AVIF; their first bytes decide, nothing else is believed
 * @param share whose work it is: a caller's key
 * @returns the bytes to store, and their SHA-256 in hex
 * @throws ServiceError `too_large` above `avatarBytesMax`; `unsupported_media_type` for any other format;
 *   `undecodable` for what is broken, above 40 megapixels, longer than 16,384 pixels or takes too long; `overloaded`
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
      'The image is not a PNG, JPEG, WebP, GIF or AVIF. Send one of these.',
    )
  if (hasTooManyParts(bytes, format)) throw undecodable()
  return decoding(share, async () => {
    const stored = await decodeImage(bytes)
    return { bytes: stored, sha256: hash('sha256', stored, 'hex') }
  })
}
