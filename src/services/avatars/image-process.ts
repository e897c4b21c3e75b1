// The process that decodes images, one at a time. Each message is an image; each answer is a message too. It can be
// killed at any time, which the decoders' threads cannot, and it knows nothing but the image.
import { writeFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { Metadata, Sharp } from 'sharp'
import { asBuffer, type ImageFormat, sniffFormat } from './image-format.ts'

export type ProcessAnswer =
  | { kind: 'ready' }
  /** The codec cannot be loaded. */
  | { kind: 'failed'; cause: string }
  | { kind: 'avatar'; bytes: Uint8Array }
  /** `message` is for the caller, `cause` is the decoder's text for the log. */
  | { kind: 'refused'; message?: string; cause?: string }

const pixelsMax = 40_000_000
// No camera's side is longer, nor is the longest that WebP can have (16,383). A scaled row or column of an image
// that is one pixel wide would need all of its 40 million pixels at once.
const sideMax = 16_384
/** The stored avatar fits into a square with sides of this many pixels. */
const avatarSideMax = 512

const { default: sharp } = await import('sharp').catch((error: unknown) => fail(error))
configure()
outliveNothing()
process.on('message', (bytes: Uint8Array) => {
  makeAvatar(asBuffer(bytes)).then(answer, (error: unknown) => answer(refused(error)))
})
answer({ kind: 'ready' })

function answer(message: ProcessAnswer): void {
  process.send?.(message)
}

function refused(cause: unknown): ProcessAnswer {
  return { kind: 'refused', cause: String(cause) }
}

function fail(error: unknown): never {
  answer({ kind: 'failed', cause: String(error) })
  throw error
}

function configure(): void {
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
}

/** Ends this process with the server, however that ends, and before the server when memory runs out. */
function outliveNothing(): void {
  // A plain exit would wait for the decoders' threads.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  // A terminal and some supervisors signal the whole group; the server decides when its work is done.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000')
  } catch {
    // Only Linux has it.
  }
}

async function makeAvatar(image: Buffer): Promise<ProcessAnswer> {
  const format = sniffFormat(image)
  if (format === 'heif') nameAsStill(image)
  // The header is read without the limit on pixels, so that the caller learns what is wrong.
  const header = await sharp(image, { pages: 1, limitInputPixels: false }).metadata()
  if (header.format !== format)
    return refused(`It is ${header.format}, its first bytes are those of ${format}.`)
  if (header.width * header.height > pixelsMax)
    return { kind: 'refused', message: 'The image has more than 40 megapixels. Scale it down.' }
  if (Math.max(header.width, header.height) > sideMax)
    return { kind: 'refused', message: `The image has a side of more than ${sideMax} pixels. Scale it down.` }
  return { kind: 'avatar', bytes: await render(image, header, format) }
}

async function render(image: Buffer, header: Metadata, format: ImageFormat): Promise<Uint8Array> {
  try {
    return await toWebp(image, header)
  } catch (error) {
    if (format !== 'jpeg') throw error
    // Half of the end marker may be there.
    const data = image.at(-1) === 0xff ? image.subarray(0, -1) : image
    if (await hasAllPixels(data, header)) return toWebp(Buffer.concat([data, endOfImage]), header)
    throw error
  }
}

/** Upright, in sRGB, within the avatar's square, without metadata. */
async function toWebp(image: Buffer, header: Metadata): Promise<Uint8Array> {
  const scaled = decode(image).resize(avatarSideMax, avatarSideMax, {
    fit: 'inside',
    withoutEnlargement: true,
  })
  if (header.space !== 'cmyk' || header.hasProfile) return scaled.webp().toBuffer()
  const { data, info } = await asCmyk(scaled).raw().toBuffer({ resolveWithObject: true })
  const { width, height } = info
  return sharp(cmykToRgb(data), { raw: { width, height, channels: 3 } })
    .webp()
    .toBuffer()
}

function decode(image: Buffer): Sharp {
  return sharp(image, {
    pages: 1,
    limitInputPixels: pixelsMax,
    autoOrient: true,
    // Refuses what is cut off. 'warning' would refuse photos of common phones too, whose headers bend
    // the JPEG standard but whose pixels are all there.
    failOn: 'error',
  })
}

function asCmyk(image: Sharp): Sharp {
  return image.pipelineColourspace('cmyk').toColourspace('cmyk')
}

/**
 * As browsers show CMYK without a profile: each ink takes away its colour, and black takes away of all. libvips would
 * assume the inks of a press, which makes screen colours dull.
 */
function cmykToRgb(inks: Buffer): Buffer {
  const pixels = Buffer.alloc((inks.length / 4) * 3)
  for (let from = 0, to = 0; from + 3 < inks.length; from += 4) {
    const light = 255 - (inks[from + 3] ?? 0)
    for (let ink = from; ink < from + 3; ink++)
      pixels[to++] = Math.round(((255 - (inks[ink] ?? 0)) * light) / 255)
  }
  return pixels
}

// libheif reads image sequences, but libvips passes on to it only files whose major brand is that of a still.
function nameAsStill(image: Buffer): void {
  if (image.toString('latin1', 8, 12) === 'avis') image.write('avif', 8, 'latin1')
}

const endOfImage = Buffer.of(0xff, 0xd9)
// Compressed data that the decoder reads where the image's own is missing: also behind each of the eight markers at
// which it may be waiting to restart (ITU T.81, section E.2.4). The first bits differ from one filler to the other,
// because those of one may say what the decoder assumes where data is missing: that the block ends.
const fillers = [43, 212].map((start) => {
  const noise = Buffer.from(Array.from({ length: 512 }, (_, at) => (at * 151 + start) % 251))
  const restarts = Array.from({ length: 8 }, (_, restart) => Buffer.of(0xff, 0xd0 + restart))
  return Buffer.concat([noise, ...restarts.flatMap((marker) => [marker, noise])])
})

/** Whether a JPEG that has no end has all of its pixels: then data that is added to it changes none. */
async function hasAllPixels(image: Buffer, { space }: Metadata): Promise<boolean> {
  const sumWith = async (...added: Buffer[]) => {
    const whole = decode(Buffer.concat([image, ...added, endOfImage]))
    return crc32(await (space === 'cmyk' ? asCmyk(whole) : whole).raw().toBuffer())
  }
  const sum = await sumWith()
  for (const filler of fillers) if ((await sumWith(filler)) !== sum) return false
  return true
}
