// The program of the child process that decodes images, one at a time: it receives each image in a message, and answers
// in another. Unlike the decoders' threads, it can be killed at any time, and it has access to the image only.
import { writeFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { Metadata, Sharp } from 'sharp'
import { asBuffer, type ImageFormat, sniffFormat } from './image-format.ts'

export type ProcessAnswer =
  | { kind: 'ready' }
  /** sharp cannot be loaded. */
  | { kind: 'failed'; cause: string }
  | { kind: 'avatar'; bytes: Uint8Array }
  /** `message` is for the client, and `cause` is the decoder's text for the log. */
  | { kind: 'refused'; message?: string; cause?: string }

const pixelsMax = 40_000_000
// No camera has a longer side, nor does WebP allow more than 16,383. An image of one pixel by 40 million would need all
// its pixels at once to scale a row.
const sideMax = 16_384
/** The side of the square that the stored avatar fits into, in pixels. */
const avatarSideMax = 512

const { default: sharp } = await import('sharp').catch((error: unknown) => fail(error))
configure()
dieFirst()
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
  // Images do not repeat, so a cache would only use memory.
  sharp.cache(false)
  // One thread per image leaves the other cores to reads.
  sharp.concurrency(1)
  // Only the decoders of the five formats may run, whichever others the bytes could select in libvips.
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

/** Ends this process with the server, however that ends, and before the server if memory runs out. */
function dieFirst(): void {
  // A normal exit would wait for the decoders' threads.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  // Terminals and some supervisors signal the whole group, but the server may still need the decoder to finish.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000')
  } catch {
    // Exists on Linux only.
  }
}

async function makeAvatar(image: Buffer): Promise<ProcessAnswer> {
  const format = sniffFormat(image)
  if (format === 'heif') relabelAsStill(image)
  // Reads the header without a limit on pixels, so that the client learns the reason.
  const header = await sharp(image, { pages: 1, limitInputPixels: false }).metadata()
  if (header.format !== format)
    return refused(`decoded as ${header.format}, but the first bytes are those of ${format}`)
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
    // The first half of the end marker may be present.
    const data = image.at(-1) === 0xff ? image.subarray(0, -1) : image
    if (await hasAllPixels(data, header)) return toWebp(Buffer.concat([data, endOfImage]), header)
    throw error
  }
}

/** @returns the image upright, in sRGB, within the avatar's square, without metadata */
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
    // Rejects truncated images. 'warning' would also reject photos of common phones, whose headers violate the JPEG
    // standard although their pixels are complete.
    failOn: 'error',
  })
}

function asCmyk(image: Sharp): Sharp {
  return image.pipelineColourspace('cmyk').toColourspace('cmyk')
}

/**
 * Converts CMYK without a profile as browsers do: each ink subtracts its colour, and black subtracts all. libvips would
 * assume printing inks, which makes screen colours dull.
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

// libheif reads image sequences, but libvips passes it only files whose major brand is that of a still image.
function relabelAsStill(image: Buffer): void {
  if (image.toString('latin1', 8, 12) === 'avis') image.write('avif', 8, 'latin1')
}

const endOfImage = Buffer.of(0xff, 0xd9)
// Compressed data for the decoder to read in place of missing data, also behind each of the eight restart markers
// (ITU T.81, section E.2.4). Two fillers with different first bits are needed, because one of them may start with the
// bits that the decoder assumes for missing data: the end of a block.
const fillers = [43, 212].map((start) => {
  const noise = Buffer.from(Array.from({ length: 512 }, (_, at) => (at * 151 + start) % 251))
  const restarts = Array.from({ length: 8 }, (_, restart) => Buffer.of(0xff, 0xd0 + restart))
  return Buffer.concat([noise, ...restarts.flatMap((marker) => [marker, noise])])
})

/** @returns whether a JPEG without an end marker has all of its pixels, so that added data changes none of them */
async function hasAllPixels(image: Buffer, { space }: Metadata): Promise<boolean> {
  const sumWith = async (...added: Buffer[]) => {
    const whole = decode(Buffer.concat([image, ...added, endOfImage]))
    return crc32(await (space === 'cmyk' ? asCmyk(whole) : whole).raw().toBuffer())
  }
  const sum = await sumWith()
  for (const filler of fillers) if ((await sumWith(filler)) !== sum) return false
  return true
}
