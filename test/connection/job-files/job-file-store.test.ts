// The store of job files, as a directory and as a bucket, and the encryption of its files.
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, inject, it } from 'vitest'
import { openJobFileBucket } from '../../../src/connection/job-files/job-file-bucket.ts'
import { openJobFileDirectory } from '../../../src/connection/job-files/job-file-directory.ts'
import type { JobFileStore } from '../../../src/connection/job-files/job-file-store.ts'
import { newFileKey, seal, unseal } from '../../../src/connection/job-files/sealed-file.ts'
import { atEnd } from '../../support/cleanup.ts'

async function* parts(...bytes: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* bytes
}

async function readAll(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const part of bytes) all.push(part)
  return Buffer.concat(all)
}

Object.assign(process.env, inject('s3Env'))
const folder = await mkdtemp(join(tmpdir(), 'job-files-'))
atEnd(() => rm(folder, { recursive: true, force: true }))
const stores: Record<string, JobFileStore> = {
  'a directory': openJobFileDirectory(join(folder, 'jobs')),
  'a bucket': openJobFileBucket(inject('s3Env').AVATAR_BUCKET ?? '', {
    forcePathStyle: true,
    isDirect: true,
  }),
}
atEnd(async () => {
  for (const store of Object.values(stores)) await store.close()
})

describe.each(Object.entries(stores))('%s', (_name, store) => {
  // Several parts of an upload, and several ranges.
  it.each([0, 1, 20 * 1024 * 1024])('returns a file of %i bytes as it was', async (length) => {
    const id = randomUUID()
    const bytes = randomBytes(length)
    const key = newFileKey()
    await store.write(id, seal(key, parts(bytes.subarray(0, length / 3), bytes.subarray(length / 3))))
    expect((await readAll(unseal(key, store.read(id)))).equals(bytes)).toBe(true)
    await store.remove(id)
    await store.remove(id)
    await expect(readAll(store.read(id))).rejects.toMatchObject({ code: 'not_found' })
  })

  it('keeps nothing of a file whose source fails, and passes its error on', async () => {
    const id = randomUUID()
    const failure = new Error('the client is gone')
    const failing = async function* () {
      yield randomBytes(9 * 1024 * 1024)
      throw failure
    }
    await expect(store.write(id, failing())).rejects.toBe(failure)
    await expect(readAll(store.read(id))).rejects.toMatchObject({ code: 'not_found' })
  })
})

it('a directory keeps no file of a failed write', async () => {
  expect(await readdir(join(folder, 'jobs'))).toEqual([])
})

describe('a sealed file', () => {
  const key = newFileKey()

  it('is returned as it was, in whatever parts it was written and read', async () => {
    const lengths = fc.array(fc.integer({ min: 0, max: 70_000 }), { maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(lengths, lengths, async (written, cuts) => {
        const pieces = written.map((length) => randomBytes(length))
        const sealed = await readAll(seal(key, parts(...pieces)))
        const read: Uint8Array[] = []
        let from = 0
        for (const cut of cuts) {
          read.push(sealed.subarray(from, from + cut))
          from += cut
        }
        read.push(sealed.subarray(from))
        expect((await readAll(unseal(key, parts(...read)))).equals(Buffer.concat(pieces))).toBe(true)
      }),
      { numRuns: 30 },
    )
  })

  it('is rejected if it is cut off, changed, reordered or opened with another key', async () => {
    const block = 64 * 1024 + 16
    const sealed = await readAll(seal(key, parts(randomBytes(150_000))))
    const changed = Buffer.from(sealed)
    changed[70_000] = (changed[70_000] ?? 0) ^ 1
    const reordered = Buffer.concat([
      sealed.subarray(block, 2 * block),
      sealed.subarray(0, block),
      sealed.subarray(2 * block),
    ])
    for (const wrong of [
      sealed.subarray(0, 2 * block),
      sealed.subarray(0, -1),
      sealed.subarray(0, 5),
      changed,
      reordered,
      Buffer.alloc(0),
    ])
      await expect(readAll(unseal(key, parts(wrong)))).rejects.toThrow()
    await expect(readAll(unseal(newFileKey(), parts(sealed)))).rejects.toThrow()
  })
})
