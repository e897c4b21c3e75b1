import { buffer } from 'node:stream/consumers'
import { constants, createZstdCompress, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decompress } from '../../../src/services/import/decompress.ts'
import { chunks } from '../../support/import-file.ts'

const text = Buffer.from('{"username":"ada"}\n'.repeat(50))
const bytesMax = 1_000_000_000

async function read(file: Uint8Array, { cuts = [] as number[], max = bytesMax } = {}): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const chunk of decompress(chunks(file, cuts), { bytesMax: max })) parts.push(Buffer.from(chunk))
  return Buffer.concat(parts)
}

const files: [string, Buffer][] = [
  ['plain', text],
  ['gzip', gzipSync(text)],
  ['gzip of two members', Buffer.concat([gzipSync(text.subarray(0, 300)), gzipSync(text.subarray(300))])],
  ['zstd', zstdCompressSync(text)],
]

test.each(files)('a %s file is read the same however it is split', async (_, file) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(file.length)), async (cuts) => {
      expect((await read(file, { cuts })).equals(text)).toBe(true)
    }),
  )
})

test('an empty file has no data', async () => {
  expect(await read(Buffer.alloc(0))).toHaveLength(0)
})

test.each(files.slice(1, 2).concat(files.slice(3)))(
  'a %s file that is cut off is refused',
  async (_, file) => {
    for (let length = 4; length < file.length; length++)
      await expect(read(file.subarray(0, length))).rejects.toThrow('The compressed file is cut off')
  },
)

test('damaged data is refused', async () => {
  for (const [, file] of files.slice(1)) {
    const damaged = Buffer.from(file)
    damaged[damaged.length >> 1] = ~(damaged[damaged.length >> 1] ?? 0)
    damaged[damaged.length - 2] = ~(damaged[damaged.length - 2] ?? 0)
    await expect(read(damaged)).rejects.toMatchObject({ code: 'invalid' })
  }
})

test('data after the end of the compressed file is refused, never ignored', async () => {
  const two = Buffer.concat([zstdCompressSync(text), zstdCompressSync(text)])
  await expect(read(two)).rejects.toThrow('has data after its end')
  await expect(read(Buffer.concat([gzipSync(text), Buffer.from('more')]))).rejects.toMatchObject({
    code: 'invalid',
  })
  await expect(read(Buffer.concat([gzipSync(text), Buffer.alloc(8), gzipSync(text)]))).rejects.toThrow(
    'has data after its end',
  )
})

test('a bomb is refused by its ratio, long before it is read', async () => {
  for (const bomb of [gzipSync(Buffer.alloc(200_000_000)), zstdCompressSync(Buffer.alloc(200_000_000))])
    await expect(read(bomb)).rejects.toThrow('over 200 times its size')
})

test.each([
  ['a ZIP archive or a spreadsheet', 'PK\x03\x04'],
  ['compressed by xz', '\xfd7zXZ\0'],
  ['a 7z archive', '7z\xbc\xaf\x27\x1c'],
])('a file that is %s is refused by its first bytes, with advice', async (what, start) => {
  let isClosed = false
  async function* source() {
    try {
      yield Buffer.from(start, 'latin1')
      yield Buffer.alloc(100)
    } finally {
      isClosed = true
    }
  }
  const reading = buffer(decompress(source(), { bytesMax }))
  await expect(reading).rejects.toThrow(`The file is ${what}. Send the CSV or JSON in it`)
  expect(isClosed).toBe(true)
})

test('a file over the limit is refused', async () => {
  for (const [, file] of files)
    await expect(read(file, { max: text.length - 1 })).rejects.toThrow(`more than ${text.length - 1} bytes`)
})

test('a zstd window that would need much memory is refused with advice', async () => {
  // Only a stream keeps the window, as it does not know the size of the data.
  const encoder = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: 27 } })
  encoder.write(text)
  encoder.end()
  await expect(read(await buffer(encoder))).rejects.toThrow('Compress it without --ultra or --long')
})

test('a consumer that stops early closes the source', async () => {
  for (const [, file] of files) {
    let isClosed = false
    async function* source() {
      try {
        for (;;) yield file.subarray(0, 20)
      } finally {
        isClosed = true
      }
    }
    try {
      for await (const _ of decompress(source(), { bytesMax })) break
    } catch (error) {
      // The endless source repeats its first bytes, which are no valid second part.
      expect(error).toMatchObject({ code: 'invalid' })
    }
    expect(isClosed).toBe(true)
  }
})

test('an error of the source is thrown as it is', async () => {
  const failure = new Error('The connection was lost.')
  async function* source() {
    yield gzipSync(text).subarray(0, 20)
    throw failure
  }
  await expect(
    (async () => {
      for await (const _ of decompress(source(), { bytesMax }));
    })(),
  ).rejects.toBe(failure)
})
