// Avatars: which images are accepted, which are rejected with which code, and which parts of an image are kept.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { ServiceError } from '../../../src/model/errors.ts'
import { avatarBytesMax } from '../../../src/model/user.ts'
import * as image from '../../../src/services/avatars/encode.ts'
import { jpegOfManyScans, pngOfOneColumn, pngThatClaims } from '../../support/picture.ts'

const formats = ['png', 'jpeg', 'webp', 'gif', 'avif'] as const

/** A noisy picture: red on its left half, blue on its right. */
async function picture(width = 96, height = 64) {
  const noise = await sharp({
    create: {
      width,
      height,
      channels: 3,
      background: 'black',
      noise: { type: 'gaussian', mean: 20, sigma: 20 },
    },
  })
    .raw()
    .toBuffer()
  for (let at = 0; at < noise.length; at += 3) noise[at + ((at / 3) % width < width / 2 ? 0 : 2)] = 220
  return sharp(noise, { raw: { width, height, channels: 3 } })
}

/** A noisy picture as a file of a format. */
async function encoded(format: (typeof formats)[number], width?: number, height?: number) {
  // The usual effort takes seconds of processor time, and gives a file of the same form.
  return (await picture(width, height)).toFormat(format, format === 'avif' ? { effort: 0 } : {}).toBuffer()
}

/** As one caller after the other, none of whom waits for another. */
let callers = 0
const toAvatar = (bytes: Uint8Array) => image.toAvatar(bytes, `caller ${++callers}`)

/** Returns the ServiceError that `toAvatar` throws; fails the test if it throws none. */
async function refusal(bytes: Uint8Array): Promise<ServiceError> {
  const error = await toAvatar(bytes).then(
    () => new Error('the image was taken'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof ServiceError) return error
  throw error
}
const refusalCode = async (bytes: Uint8Array) => (await refusal(bytes)).code

async function pixel(image: Uint8Array, x: number, y: number) {
  const [red = NaN, green = NaN, blue = NaN, alpha = 255] = await sharp(image)
    .extract({ left: x, top: y, width: 1, height: 1 })
    .raw()
    .toBuffer()
  return { red, green, blue, alpha }
}

/** The names of a WebP file's chunks. */
function webpChunks(bytes: Uint8Array): string[] {
  const file = Buffer.from(bytes)
  const names: string[] = []
  for (let at = 12; at < file.length; at += 8 + file.readUInt32LE(at + 4) + (file.readUInt32LE(at + 4) % 2))
    names.push(file.toString('latin1', at, at + 4))
  return names
}

/** A JPEG with a second one behind it, the gain map, that the first one's XMP and MPF directory announce. */
async function ultraHdrPhoto(): Promise<Buffer> {
  const segment = (marker: number, body: Buffer) =>
    Buffer.concat([Buffer.of(0xff, marker, (body.length + 2) >> 8, (body.length + 2) & 0xff), body])
  const xmp = (attributes: string, content = '') =>
    segment(
      0xe1,
      Buffer.from(
        `http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/">` +
          `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description ` +
          `xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" ${attributes}>${content}` +
          '</rdf:Description></rdf:RDF></x:xmpmeta>',
      ),
    )
  const jpeg = (size: number) =>
    sharp({ create: { width: size, height: size, channels: 3, background: '#c04020' } })
      .jpeg()
      .toBuffer()

  const map = await jpeg(16)
  const gainMap = Buffer.concat([
    map.subarray(0, 2),
    xmp('hdrgm:GainMapMax="2" hdrgm:HDRCapacityMax="2"'),
    map.subarray(2),
  ])
  const item = (semantic: string, length: string) =>
    `<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="${semantic}" Item:Mime="image/jpeg"${length}/></rdf:li>`
  const directory = xmp(
    'xmlns:Container="http://ns.google.com/photos/1.0/container/" ' +
      'xmlns:Item="http://ns.google.com/photos/1.0/container/item/"',
    `<Container:Directory><rdf:Seq>${item('Primary', '')}${item('GainMap', ` Item:Length="${gainMap.length}"`)}` +
      '</rdf:Seq></Container:Directory>',
  )
  const plain = await jpeg(64)

  const mpf = Buffer.alloc(86)
  mpf.write('MPF\0MM\0*\0\0\0\x08\0\x03', 'latin1')
  const primaryLength = plain.length + directory.length + mpf.length + 4
  const offset = primaryLength - (2 + directory.length + 8)
  for (const [index, entry] of [
    [0xb000_0007, 4, 0x3031_3030],
    [0xb001_0004, 1, 2],
    [0xb002_0007, 32, 50],
  ].entries())
    for (const [part, value] of entry.entries()) mpf.writeUInt32BE(value, 14 + index * 12 + part * 4)
  for (const [index, value] of [0x03_0000, primaryLength, 0, 0, 0, gainMap.length, offset].entries())
    mpf.writeUInt32BE(value, 54 + index * 4)
  return Buffer.concat([plain.subarray(0, 2), directory, segment(0xe2, mpf), plain.subarray(2), gainMap])
}

function ftyp(major: string, ...compatible: string[]): Buffer {
  const body = Buffer.from(`ftyp${major}\0\0\0\0${compatible.join('')}`, 'latin1')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length + 4)
  return Buffer.concat([length, body])
}

describe('an accepted image', () => {
  test.each(formats)(
    '%s becomes WebP within 512 pixels, in proportion, named by the hash of its bytes',
    async (format) => {
      const avatar = await toAvatar(await encoded(format, 600, 300))
      expect(await sharp(avatar.bytes).metadata()).toMatchObject({ format: 'webp', width: 512, height: 256 })
      expect(avatar.sha256).toBe(createHash('sha256').update(avatar.bytes).digest('hex'))
      const { red, blue } = await pixel(avatar.bytes, 10, 10)
      expect(red).toBeGreaterThan(blue + 100)
    },
  )

  test('a small image is not enlarged', async () => {
    const avatar = await toAvatar(await (await picture(30, 20)).png().toBuffer())
    expect(await sharp(avatar.bytes).metadata()).toMatchObject({ width: 30, height: 20 })
  })

  test('the same bytes give the same avatar', async () => {
    const photo = await (await picture(800, 600)).jpeg().toBuffer()
    const [one, other] = await Promise.all([toAvatar(photo), toAvatar(Uint8Array.from(photo))])
    expect(other).toEqual(one)
  })

  test('bytes inside a larger buffer are read from their own offset', async () => {
    const image = await (await picture()).png().toBuffer()
    const around = Buffer.concat([Buffer.alloc(7, 1), image, Buffer.alloc(9, 2)])
    expect(await toAvatar(new Uint8Array(around.buffer, around.byteOffset + 7, image.length))).toEqual(
      await toAvatar(image),
    )
  })

  test('a photo is rotated by its EXIF orientation', async () => {
    // Orientation 6: the picture's left edge is the top of what was seen.
    const photo = await (await picture(200, 100)).jpeg().withMetadata({ orientation: 6 }).toBuffer()
    const avatar = await toAvatar(photo)
    expect(await sharp(avatar.bytes).metadata()).toMatchObject({ width: 100, height: 200 })
    const top = await pixel(avatar.bytes, 50, 20)
    const bottom = await pixel(avatar.bytes, 50, 180)
    expect(top.red).toBeGreaterThan(150)
    expect(bottom.blue).toBeGreaterThan(150)
  })

  test.each(['jpeg', 'png', 'webp', 'avif'] as const)('all metadata of %s is removed', async (format) => {
    const image = await (await picture())
      .withIccProfile('p3')
      .withExif({
        IFD0: { Copyright: 'MARKER-OWNER' },
        IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '51/1 30/1 0/1' },
      })
      .withXmp('<x:xmpmeta xmlns:x="adobe:ns:meta/"><note>MARKER-XMP</note></x:xmpmeta>')
      .toFormat(format)
      .toBuffer()
    expect(image.includes('MARKER-OWNER')).toBe(true)

    const { bytes } = await toAvatar(image)
    expect(Buffer.from(bytes).includes('MARKER')).toBe(false)
    expect(webpChunks(bytes)).toEqual(['VP8 '])
    const left = await sharp(bytes).metadata()
    expect([left.exif, left.icc, left.xmp, left.iptc, left.orientation]).toEqual(Array(5).fill(undefined))
  })

  test('colours of another ICC profile are converted to sRGB', async () => {
    // This green of Display P3 in sRGB has a red below zero, which is cut to zero.
    const raw = Buffer.alloc(64 * 64 * 3)
    for (let at = 0; at < raw.length; at += 3) raw.set([100, 200, 100], at)
    const plain = await sharp(raw, { raw: { width: 64, height: 64, channels: 3 } })
      .png()
      .toBuffer()
    const wide = await sharp(plain).withIccProfile('p3').png().toBuffer()
    const inWide = await sharp(wide, { ignoreIcc: true })
      .extract({ left: 9, top: 9, width: 1, height: 1 })
      .raw()
      .toBuffer()
    expect(inWide[0]).toBeGreaterThan(110)

    const { red, green, blue } = await pixel((await toAvatar(wide)).bytes, 32, 32)
    for (const [got, wanted] of [
      [red, 100],
      [green, 200],
      [blue, 100],
    ] as const)
      expect(Math.abs(got - wanted)).toBeLessThan(6)
  })

  test('transparency is kept', async () => {
    const clear = await sharp({ create: { width: 20, height: 20, channels: 4, background: '#00000000' } })
      .png()
      .toBuffer()
    expect(await pixel((await toAvatar(clear)).bytes, 5, 5)).toMatchObject({ alpha: 0 })
  })

  test.each(['gif', 'webp'] as const)('only the first frame of an animated %s is kept', async (format) => {
    const frames = 60
    const raw = Buffer.alloc(32 * 32 * frames * 3)
    for (let at = 0; at < raw.length; at += 3) raw[at + (at < 32 * 32 * 3 ? 0 : 2)] = 255
    const animation = await sharp(raw, {
      raw: { width: 32, height: 32 * frames, channels: 3, pageHeight: 32 },
    })
      .toFormat(format, { delay: Array<number>(frames).fill(50) })
      .toBuffer()
    expect((await sharp(animation).metadata()).pages).toBeGreaterThan(1)

    const { bytes } = await toAvatar(animation)
    const { width, height, pages } = await sharp(bytes).metadata()
    expect({ width, height, pages }).toEqual({ width: 32, height: 32, pages: undefined })
    expect((await pixel(bytes, 16, 16)).red).toBeGreaterThan(200)
  })

  // libvips passes on to libheif only what it takes for a still.
  test('only the first frame of an animated AVIF is kept, whichever its major brand', async () => {
    const animation = await readFile('test/support/pictures/animated.avif')
    expect(animation.toString('latin1', 8, 12)).toBe('avis')
    for (const brand of ['avis', 'avif']) {
      animation.write(brand, 8, 'latin1')
      const { bytes } = await toAvatar(animation)
      expect(await sharp(bytes).metadata()).toMatchObject({ width: 32, height: 24 })
      expect((await pixel(bytes, 16, 12)).red).toBeGreaterThan(200)
    }
  })

  test('a CMYK JPEG without a profile has the colours that browsers show', async () => {
    const { bytes } = await toAvatar(await readFile('test/support/pictures/cmyk.jpg'))
    // Made of #1e3cc8 beside full black.
    const [blue, black] = [await pixel(bytes, 10, 16), await pixel(bytes, 54, 16)]
    for (const [got, wanted] of [
      [blue.red, 0x1e],
      [blue.green, 0x3c],
      [blue.blue, 0xc8],
      [black.red, 0],
      [black.green, 0],
      [black.blue, 0],
    ] as const)
      expect(Math.abs(got - wanted)).toBeLessThan(6)
  })

  const jpegs: [string, () => Promise<Buffer>][] = [
    ['a JPEG', async () => (await picture(300, 200)).jpeg().toBuffer()],
    ['a progressive JPEG', async () => (await picture(300, 200)).jpeg({ progressive: true }).toBuffer()],
    [
      'a JPEG with full chroma',
      async () => (await picture(300, 200)).jpeg({ chromaSubsampling: '4:4:4' }).toBuffer(),
    ],
    ['a JPEG with restart markers', () => readFile('test/support/pictures/restarts.jpg')],
    ['a CMYK JPEG', () => readFile('test/support/pictures/cmyk.jpg')],
  ]
  test.each(jpegs)('%s without only its end marker keeps all of its pixels', async (_, make) => {
    const whole = await make()
    const avatar = await toAvatar(whole)
    for (const bytes of [1, 2])
      expect(await toAvatar(whole.subarray(0, whole.length - bytes))).toEqual(avatar)
  })

  test.each(jpegs)('%s without more data is rejected', async (_, make) => {
    const whole = await make()
    // Also where an interval ends, so that no compressed data is cut.
    const restarts = [...whole.keys()].filter(
      (at) => whole[at] === 0xff && ((whole[at + 1] ?? 0) & 0xf8) === 0xd0,
    )
    // Some of these cuts leave data that ends where the decoder may take a block for complete.
    const cuts = Array.from({ length: 24 }, (_, at) => whole.length - 4 - at)
    for (const length of [...cuts, whole.length - 40, Math.floor(whole.length * 0.8), ...restarts])
      expect(await refusalCode(whole.subarray(0, length)), String(length)).toBe('undecodable')
  })

  test.each([
    ['png', 12],
    ['gif', 1],
  ] as const)('%s that lacks only its end, of %i bytes, has all of its pixels', async (format, bytes) => {
    const whole = await (await picture()).toFormat(format).toBuffer()
    expect(await toAvatar(whole.subarray(0, -bytes))).toEqual(await toAvatar(whole))
  })

  test('a photo whose header violates the standard, as on common phones, is accepted', async () => {
    const photo = await (await picture()).jpeg().toBuffer()
    const scan = photo.indexOf(Buffer.of(0xff, 0xda))
    // The end of the spectral selection, which must be 63 in a sequential JPEG.
    photo[scan + photo.readUInt16BE(scan + 2)] = 0
    await expect(sharp(photo, { failOn: 'warning' }).raw().toBuffer()).rejects.toThrow('SOS')
    await expect(toAvatar(photo)).resolves.toBeDefined()
  })

  test('a phone photo with an HDR gain map is decoded as a plain photo', async () => {
    const photo = await ultraHdrPhoto()
    const avatar = await toAvatar(photo)
    expect(webpChunks(avatar.bytes)).toEqual(['VP8 '])
    expect((await pixel(avatar.bytes, 10, 10)).red).toBeGreaterThan(100)
  })

  test.each([
    ['PNG', 'png', Buffer.from('PK\x03\x04MARKER.zip', 'latin1')],
    ['GIF', 'gif', Buffer.from('*/=1;alert("MARKER")//')],
    ['JPEG', 'jpeg', Buffer.from('<script>MARKER</script>')],
  ] as const)('nothing of what is appended to a %s is left', async (_, format, payload) => {
    const image = Buffer.concat([await (await picture()).toFormat(format).toBuffer(), payload])
    expect(Buffer.from((await toAvatar(image)).bytes).includes('MARKER')).toBe(false)
  })

  test('a GIF that is also a script keeps nothing of the script', async () => {
    // Its width reads '/*' and opens a comment that the appended text closes.
    const gif = await (await picture()).gif().toBuffer()
    gif.write('/*', 6, 'latin1')
    const polyglot = Buffer.concat([gif, Buffer.from('*/=1;alert("MARKER")')])
    const avatar = await toAvatar(polyglot)
    expect(Buffer.from(avatar.bytes).includes('MARKER')).toBe(false)
    expect(await sharp(avatar.bytes).metadata()).toMatchObject({ format: 'webp' })
  })
})

describe('a file of any other format is an unsupported media type', () => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
  test.each([
    ['nothing', ''],
    ['SVG', svg],
    ['SVG behind a byte order mark', `\ufeff${svg}`],
    ['SVG behind an XML declaration', `<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE svg>\n${svg}`],
    ['HTML', '<!doctype html><img src="x.png">'],
    ['PDF', '%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>'],
    ['text', 'hello'],
    ['a magic number cut short', '\x89PNG\r\n'],
    ['a RIFF file of sound', 'RIFF\x24\0\0\0WAVEfmt '],
    ['BMP', 'BM\x46\0\0\0\0\0\0\0\x36\0\0\0'],
  ])('%s', async (_, text) => {
    expect(
      await refusalCode(
        Buffer.from(text, text.startsWith('<') || text.startsWith('\ufeff') ? 'utf8' : 'latin1'),
      ),
    ).toBe('unsupported_media_type')
  })

  test('TIFF', async () => {
    expect(await refusalCode(await (await picture()).tiff().toBuffer())).toBe('unsupported_media_type')
  })

  test.each([
    ['HEIC', ftyp('heic', 'mif1', 'heic')],
    ['an HEIF image of no known codec', ftyp('mif1', 'mif1', 'miaf')],
    ['MP4', ftyp('isom', 'isom', 'mp41')],
    ['an AVIF brand outside the brands', Buffer.concat([ftyp('mif1', 'mif1'), Buffer.from('avif')])],
  ])('%s', async (_, head) => {
    expect(await refusalCode(Buffer.concat([head, Buffer.alloc(500)]))).toBe('unsupported_media_type')
  })

  test('an AVIF brand among the compatible brands is sufficient', async () => {
    const avif = await (await picture()).avif().toBuffer()
    expect(avif.toString('latin1', 8, 12)).toBe('avif')
    avif.write('mif1', 8, 'latin1')
    await expect(toAvatar(avif)).resolves.toBeDefined()
    expect(await refusalCode(ftyp('mif1', 'avif'))).toBe('undecodable')
  })
})

describe('an image that is broken or exceeds a limit is undecodable', () => {
  test.each(formats)('%s truncated anywhere', async (format) => {
    const whole = await encoded(format, 300, 200)
    for (const part of [0.05, 0.3, 0.6, 0.9, 0.97])
      expect(await refusalCode(whole.subarray(0, whole.length * part))).toBe('undecodable')
  })

  test('a truncated progressive JPEG and interlaced PNG', async () => {
    const image = await picture(300, 200)
    for (const whole of [
      await image.clone().jpeg({ progressive: true }).toBuffer(),
      await image.clone().png({ progressive: true }).toBuffer(),
    ])
      expect(await refusalCode(whole.subarray(0, whole.length * 0.7))).toBe('undecodable')
  })

  test('a PNG that claims 30000 × 30000 pixels, without being decoded', async () => {
    const started = performance.now()
    const error = await refusal(pngThatClaims(30_000, 30_000))
    expect(error).toMatchObject({
      code: 'undecodable',
      message: 'The image has more than 40 megapixels. Scale it down.',
    })
    expect(performance.now() - started).toBeLessThan(500)
  })

  test('a side of 16,384 pixels is accepted, and one pixel more is rejected by the header alone', async () => {
    await expect(toAvatar(await pngOfOneColumn(16_384))).resolves.toBeDefined()
    for (const length of [16_385, 40_000_000]) {
      const image = await pngOfOneColumn(length)
      const started = performance.now()
      expect(await refusal(image)).toMatchObject({
        code: 'undecodable',
        message: 'The image has a side of more than 16384 pixels. Scale it down.',
      })
      expect(performance.now() - started).toBeLessThan(500)
    }
  })

  test('40 megapixels are accepted, and one row more is rejected', async () => {
    const largest = sharp({ create: { width: 8_000, height: 5_000, channels: 3, background: 'teal' } })
    await expect(toAvatar(await largest.png({ compressionLevel: 1 }).toBuffer())).resolves.toBeDefined()
    expect(await refusal(pngThatClaims(8_000, 5_001))).toMatchObject({
      code: 'undecodable',
      message: 'The image has more than 40 megapixels. Scale it down.',
    })
  })

  test('the size of an animation is that of one frame', async () => {
    const gif = await (await picture()).gif().toBuffer()
    const frame = gif.indexOf(Buffer.of(0x2c, 0, 0, 0, 0, 96, 0, 64, 0))
    gif.writeUInt16LE(65_535, frame + 5)
    gif.writeUInt16LE(65_535, frame + 7)
    expect(await refusal(gif)).toMatchObject({
      message: 'The image has more than 40 megapixels. Scale it down.',
    })

    // 450 frames of 300 × 300 make 40.5 megapixels together.
    const square = await sharp({ create: { width: 300, height: 300, channels: 3, background: 'teal' } })
      .gif()
      .toBuffer()
    const start = square.indexOf(Buffer.of(0x2c, 0, 0, 0, 0, 0x2c, 1, 0x2c, 1))
    const frames = Array<Buffer>(450).fill(square.subarray(start, -1))
    const animation = Buffer.concat([square.subarray(0, start), ...frames, square.subarray(-1)])
    expect(await sharp(animation).metadata()).toMatchObject({ pages: 450, width: 300, height: 300 })
    await expect(toAvatar(animation)).resolves.toBeDefined()
  })

  test('an AVIF whose coded picture is larger than its header says', async () => {
    const avif = await (await picture(1_000, 500)).avif({ effort: 0 }).toBuffer()
    const size = avif.indexOf('ispe')
    avif.writeUInt32BE(20, size + 8)
    avif.writeUInt32BE(10, size + 12)
    expect(await refusalCode(avif)).toBe('undecodable')
  })

  test('a JPEG with very many scans, cheap to send and expensive to decode', async () => {
    await expect(sharp(jpegOfManyScans(883)).raw().toBuffer()).resolves.toBeDefined()
    await expect(toAvatar(jpegOfManyScans(200))).resolves.toBeDefined()
    expect(await refusalCode(jpegOfManyScans(201))).toBe('undecodable')
  })

  test('a WebP with very many frames, for the same reason', async () => {
    const chunk = (name: string, data: Buffer) => {
      const head = Buffer.alloc(8)
      head.write(name, 'latin1')
      head.writeUInt32LE(data.length, 4)
      return Buffer.concat([head, data])
    }
    const dot = await sharp({ create: { width: 1, height: 1, channels: 3, background: 'red' } })
      .webp({ lossless: true })
      .toBuffer()
    const frame = chunk('ANMF', Buffer.concat([Buffer.alloc(16), dot.subarray(12)]))
    const animation = (frames: number) =>
      chunk(
        'RIFF',
        Buffer.concat([
          Buffer.from('WEBP'),
          chunk('VP8X', Buffer.of(2, ...Array<number>(9).fill(0))),
          chunk('ANIM', Buffer.alloc(6)),
          ...Array<Buffer>(frames).fill(frame),
        ]),
      )
    await expect(toAvatar(animation(5_000))).resolves.toBeDefined()
    expect(await refusalCode(animation(5_001))).toBe('undecodable')
  })

  test.each(formats)('the decoder’s message about %s is in the cause only', async (format) => {
    const whole = await encoded(format)
    const error = await refusal(whole.subarray(0, whole.length * 0.6))
    expect(error.message).toBe('The image is broken or cannot be decoded. Save it again as PNG or JPEG.')
    expect(error.cause).toBeInstanceOf(Error)
  })

  const magics = [
    '\x89PNG\r\n\x1a\n',
    '\xff\xd8\xff',
    'RIFF\x80\0\0\0WEBPVP8 ',
    'RIFF\x80\0\0\0WEBPVP8X',
    'GIF89a',
    'GIF87a',
  ]
  const heads = [...magics.map((magic) => Buffer.from(magic, 'latin1')), ftyp('avif', 'mif1')]
  test('any bytes behind a signature are accepted or rejected with one of three codes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...heads), fc.uint8Array({ maxLength: 2_000 }), async (head, rest) => {
        const thrown = await toAvatar(Buffer.concat([head, rest])).then(
          () => undefined,
          (error: unknown) => error,
        )
        if (thrown === undefined) return
        expect(thrown).toBeInstanceOf(ServiceError)
        expect(['undecodable', 'unsupported_media_type', 'too_large']).toContain(
          (thrown as ServiceError).code,
        )
      }),
      { numRuns: 300 },
    )
  })

  test('a real image with any changed bytes is accepted or rejected with one of three codes', async () => {
    const images = await Promise.all(formats.map((format) => encoded(format)))
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...images),
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 255 })), {
          minLength: 1,
          maxLength: 20,
        }),
        async (image, changes) => {
          const changed = Buffer.from(image)
          for (const [place, value] of changes) changed[Math.floor(place * (image.length - 1))] = value
          const thrown = await toAvatar(changed).then(
            () => undefined,
            (error: unknown) => error,
          )
          if (thrown === undefined) return
          expect(thrown).toBeInstanceOf(ServiceError)
          expect(['undecodable', 'unsupported_media_type', 'too_large']).toContain(
            (thrown as ServiceError).code,
          )
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('the limit in bytes', () => {
  test('5 MiB are accepted, and one byte more is too large', async () => {
    const image = await (await picture()).png().toBuffer()
    const filled = (bytes: number) => Buffer.concat([image, Buffer.alloc(bytes - image.length)])
    await expect(toAvatar(filled(avatarBytesMax))).resolves.toBeDefined()
    expect(await refusalCode(filled(avatarBytesMax + 1))).toBe('too_large')
    expect(avatarBytesMax).toBe(5_242_880)
  })

  test('a burst of one caller beyond the queue is rejected as overload, and the rest is served', async () => {
    const photo = await (await picture()).png().toBuffer()
    // The queue estimates by what this caller's images took of late.
    for (let turn = 0; turn < 5; turn++) await image.toAvatar(photo, 'burst')
    const settled = await Promise.allSettled(Array.from({ length: 80 }, () => image.toAvatar(photo, 'burst')))
    const refused = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))
    expect(refused.length).toBeGreaterThan(0)
    expect(new Set(refused)).toEqual(new Set(['overloaded']))
    expect(settled.length - refused.length).toBeGreaterThanOrEqual(20)
    await expect(image.toAvatar(photo, 'burst')).resolves.toBeDefined()
  })
})
