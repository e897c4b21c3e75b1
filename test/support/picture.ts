// Small and hostile images for tests.
import { crc32, deflateSync } from 'node:zlib'

/** @returns a PNG of one colour */
export async function png(background = '#468'): Promise<Uint8Array<ArrayBuffer>> {
  const { default: sharp } = await import('sharp')
  return new Uint8Array(
    await sharp({ create: { width: 9, height: 9, channels: 3, background } })
      .png()
      .toBuffer(),
  )
}

function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}

/** @returns a PNG with few pixels whose header claims another size */
export function pngThatClaims(width: number, height: number): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2], 8)
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(Buffer.alloc(100))),
    pngChunk('IEND', Buffer.alloc(0)),
  ])
}

/** @returns a valid black PNG, one pixel wide */
export function pngOfOneColumn(height: number): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(1, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 0], 8)
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(Buffer.alloc(2 * height))),
    pngChunk('IEND', Buffer.alloc(0)),
  ])
}

/** @returns a valid grey progressive JPEG with its coefficients in `scans` scans, at most 883 */
export function jpegOfManyScans(scans: number, width = 8, height = 8): Buffer {
  const segment = (marker: number, body: number[]) => Buffer.of(0xff, marker, 0, body.length + 2, ...body)
  const huffman = (kind: number, symbol: number) =>
    segment(0xc4, [kind << 4, 1, ...Array<number>(15).fill(0), symbol])
  const blocks = Math.ceil(width / 8) * Math.ceil(height / 8)
  // Each code is one bit. The constant terms are zero, and of the other coefficients nothing follows in this block
  // and the next 32,766, as the 14 bits behind the code say.
  const constants = Buffer.alloc(Math.ceil(blocks / 8))
  const runs = `${'0'.padEnd(15, '1').repeat(Math.ceil(blocks / 32_767))}`
  const others = runs.match(/.{1,8}/g)?.map((byte) => Number.parseInt(byte.padEnd(8, '1'), 2)) ?? []
  const scan = (at: number, high: number, low: number, data: Iterable<number>) =>
    Buffer.concat([
      segment(0xda, [1, 1, 0, at, at, (high << 4) | low]),
      Buffer.from([...data].flatMap(stuffed)),
    ])
  const all = [scan(0, 0, 0, constants)]
  for (let at = 1; at < 64 && all.length < scans; at++)
    for (let low = 13; low >= 0; low--) all.push(scan(at, low === 13 ? 0 : low + 1, low, others))
  return Buffer.concat([
    Buffer.of(0xff, 0xd8),
    segment(0xdb, [0, ...Array<number>(64).fill(1)]),
    segment(0xc2, [8, height >> 8, height & 0xff, width >> 8, width & 0xff, 1, 1, 0x11, 0]),
    huffman(0, 0),
    huffman(1, 0xe0),
    ...all.slice(0, scans),
    Buffer.of(0xff, 0xd9),
  ])
}

/** In compressed data a zero follows each 255, so that it is no marker. */
const stuffed = (byte: number): number[] => (byte === 0xff ? [byte, 0] : [byte])
