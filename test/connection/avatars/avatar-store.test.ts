// Both avatar stores keep one contract: the directory, and S3 over the wire.
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import S3rver from '@20minutes/s3rver'
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openAvatarBucket } from '../../../src/connection/avatars/avatar-bucket.ts'
import { openAvatarDirectory } from '../../../src/connection/avatars/avatar-directory.ts'
import type { AvatarStore } from '../../../src/connection/avatars/avatar-store.ts'
import { ServiceError } from '../../../src/model/errors.ts'
import { freePort } from '../../support/port.ts'

const bucket = 'avatars-of-the-test'
const newKey = (user: string = randomUUID()) => `avatars/${user}/${randomBytes(32).toString('hex')}.webp`

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'avatar-store-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** The text that a store has under a key, or undefined. */
async function readText(store: AvatarStore, key: string): Promise<string | undefined> {
  const bytes = await store.read(key)
  return bytes && Buffer.from(bytes).toString()
}

/** A store for the running test, and a way to put an object beside the avatars. */
type Opened = { store: AvatarStore; putBeside: (key: string, text: string) => Promise<void> }

async function openDirectory(): Promise<Opened & { directory: string }> {
  const directory = await temporaryDirectory()
  const store = openAvatarDirectory(directory)
  onTestFinished(() => store.close())
  return { store, directory, putBeside: (key, text) => writeFile(join(directory, key), text) }
}

/** Points the SDK at an endpoint, as a person would: by its own environment variables. */
function useEndpoint(port: number): void {
  vi.stubEnv('AWS_ENDPOINT_URL_S3', `http://127.0.0.1:${port}`)
  vi.stubEnv('AWS_REGION', 'eu-west-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'S3RVER')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'S3RVER')
}

function newBucketStore(name = bucket): AvatarStore {
  const store = openAvatarBucket(name, { forcePathStyle: true })
  onTestFinished(() => store.close())
  return store
}

async function openBucket(): Promise<Opened & { s3: S3Client }> {
  const directory = await temporaryDirectory()
  const server = new S3rver({
    address: '127.0.0.1',
    port: 0,
    directory,
    silent: true,
    // It signs a bucket's listing without the slash that the SDK sends.
    allowMismatchedSignatures: true,
    configureBuckets: [{ name: bucket }],
  })
  const { port } = await server.run()
  onTestFinished(() => server.close())
  useEndpoint(port)
  const s3 = new S3Client({ forcePathStyle: true })
  onTestFinished(() => s3.destroy())
  return {
    store: newBucketStore(),
    s3,
    putBeside: async (key, text) =>
      void (await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: text }))),
  }
}

/** Expects `work` to throw `unavailable`, with the reason only in the cause. */
async function expectUnavailable(work: Promise<unknown>): Promise<ServiceError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(ServiceError)
  expect(error).toMatchObject({
    code: 'unavailable',
    message: 'The avatar store cannot be reached at the moment. Try again shortly.',
    cause: expect.any(Error),
  })
  return error as ServiceError
}

// Nothing of this machine's own AWS set-up may reach a test.
beforeEach(() => {
  for (const name of ['AWS_PROFILE', 'AWS_SESSION_TOKEN', 'AWS_ENDPOINT_URL', 'AWS_CA_BUNDLE'])
    vi.stubEnv(name, undefined)
  vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent')
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent')
})
afterEach(() => vi.unstubAllEnvs())

const stores: [string, () => Promise<Opened>][] = [
  ['a directory', openDirectory],
  ['an S3 bucket', openBucket],
]

describe.each(stores)('avatars in %s', (_, open) => {
  test('reads back the stored bytes', async () => {
    const { store } = await open()
    const key = newKey()
    const bytes = randomBytes(100_000)
    await store.put(key, bytes)
    expect(bytes.equals((await store.read(key)) ?? Buffer.alloc(0))).toBe(true)
  })

  test('stores only the given view of a larger buffer', async () => {
    const { store } = await open()
    const key = newKey()
    await store.put(key, new Uint8Array(Uint8Array.of(9, 1, 2, 3, 9).buffer, 1, 3))
    expect([...((await store.read(key)) ?? [])]).toEqual([1, 2, 3])
  })

  test('reads undefined for a missing key', async () => {
    const { store } = await open()
    expect(await store.read(newKey())).toBeUndefined()
  })

  test('storing a key again is harmless', async () => {
    const { store } = await open()
    const key = newKey()
    await store.put(key, Buffer.from('same'))
    await store.put(key, Buffer.from('same'))
    expect(await readText(store, key)).toBe('same')
  })

  test('removes one avatar, keeps the user’s others, and stores it again', async () => {
    const { store } = await open()
    const user = randomUUID()
    const [gone, stays] = [newKey(user), newKey(user)]
    await store.put(gone, Buffer.from('gone'))
    await store.put(stays, Buffer.from('stays'))
    await store.remove(gone)
    expect(await store.read(gone)).toBeUndefined()
    expect(await readText(store, stays)).toBe('stays')

    await store.remove(stays)
    await store.put(gone, Buffer.from('again'))
    expect(await readText(store, gone)).toBe('again')
  })

  test('removing a missing key is harmless', async () => {
    const { store } = await open()
    await store.remove(newKey())
    const key = newKey()
    await store.put(key, Buffer.from('x'))
    await store.remove(key)
    await store.remove(key)
  })

  test('concurrent users do not affect each other', async () => {
    const { store } = await open()
    const keys = Array.from({ length: 30 }, () => newKey())
    await Promise.all(keys.map((key) => store.put(key, Buffer.from(key))))
    await Promise.all(keys.slice(0, 15).map((key) => store.remove(key)))
    const texts = await Promise.all(keys.map(async (key) => (await store.read(key)) && 'there'))
    expect(texts).toEqual([...Array(15).fill(undefined), ...Array(15).fill('there')])
  })

  test.each([
    'secret.webp',
    '',
    'avatars',
    `avatars/../../${'a'.repeat(64)}.webp`,
    `../avatars/${randomUUID()}/${'a'.repeat(64)}.webp`,
    `/avatars/${randomUUID()}/${'a'.repeat(64)}.webp`,
    `avatars/${randomUUID()}/${'a'.repeat(64)}.svg`,
    `avatars/${randomUUID()}/${'a'.repeat(64)}.webp\n`,
    `avatars/${randomUUID()}/../${'a'.repeat(64)}.webp`,
  ])('a key that the service does not make is neither read nor touched: %j', async (key) => {
    const { store, putBeside } = await open()
    await putBeside('secret.webp', 'not an avatar')
    expect(await store.read(key)).toBeUndefined()
    await expect(store.put(key, Buffer.from('x'))).rejects.toThrow('not an avatar key')
    await expect(store.remove(key)).rejects.not.toBeInstanceOf(ServiceError)
  })

  test('lists stored avatars in order, after any key, without other files', async () => {
    const { store, putBeside } = await open()
    expect(await store.list(undefined)).toEqual({ found: [], next: undefined })
    const keys = Array.from({ length: 6 }, () => newKey()).sort()
    for (const key of keys) await store.put(key, Buffer.from('x'))
    await putBeside(`${keys[2]?.slice(0, -70)}/notes.txt`, 'x')
    const { found, next } = await store.list(undefined)
    expect(found.map(({ key }) => key)).toEqual(keys)
    for (const { storedAt } of found) expect(Math.abs(Date.now() - storedAt.getTime())).toBeLessThan(60_000)
    expect(next).toBeUndefined()
    expect((await store.list(keys[2])).found.map(({ key }) => key)).toEqual(keys.slice(3))
    expect((await store.list(keys[5])).found).toEqual([])
  })

  test('passes its check', async () => {
    const { store } = await open()
    await store.check()
  })

  test('can be closed unused, and twice', async () => {
    const { store } = await open()
    await store.close()
    await store.close()
  })
})

describe('avatars in a directory', () => {
  test('leaves nothing but the avatar, and nothing of a user whose last avatar is removed', async () => {
    const { store, directory } = await openDirectory()
    const key = newKey()
    await store.put(key, Buffer.from('x'))
    expect(await readdir(directory, { recursive: true })).toEqual(['avatars', key.slice(0, 44), key])
    await store.remove(key)
    expect(await readdir(directory, { recursive: true })).toEqual(['avatars'])
  })

  // Not of the contract: s3rver removes a folder that it has found empty together with what came meanwhile.
  test('concurrent changes of one user lose nothing and leave nothing behind', async () => {
    const { store, directory } = await openDirectory()
    const user = randomUUID()
    for (let round = 0; round < 10; round++) {
      const old = Array.from({ length: 10 }, () => newKey(user))
      await Promise.all(old.map((key) => store.put(key, Buffer.from(key))))
      const kept = Array.from({ length: 10 }, () => newKey(user))
      await Promise.all([
        ...old.map((key) => store.remove(key)),
        ...kept.map((key) => store.put(key, Buffer.from(key))),
      ])
      for (const key of old) expect(await store.read(key)).toBeUndefined()
      for (const key of kept) expect(await readText(store, key)).toBe(key)
      await Promise.all(kept.map((key) => store.remove(key)))
    }
    expect(await readdir(directory, { recursive: true })).toEqual(['avatars'])
  })

  test('a concurrent reader sees the whole avatar or none', async () => {
    const { store } = await openDirectory()
    const key = newKey()
    const bytes = randomBytes(2_000_000)
    let done = false
    const writing = store.put(key, bytes).finally(() => (done = true))
    const sizes = new Set<number | undefined>()
    while (!done) sizes.add((await store.read(key))?.length)
    await writing
    sizes.delete(undefined)
    sizes.delete(bytes.length)
    expect(sizes.size).toBe(0)
  })

  test('a read-only folder is unavailable', async () => {
    const place = join(await temporaryDirectory(), 'a file')
    await writeFile(place, '')
    const store = openAvatarDirectory(place)
    await expectUnavailable(store.put(newKey(), Buffer.from('x')))
    await expectUnavailable(store.check())
  })
})

describe('avatars in an S3 bucket', () => {
  test('an avatar is stored as an immutable WebP image', async () => {
    const { store, s3 } = await openBucket()
    const key = newKey()
    await store.put(key, Buffer.from('x'))
    expect(await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }))).toMatchObject({
      ContentType: 'image/webp',
      CacheControl: 'public, max-age=31536000, immutable',
    })
  })

  test('a missing bucket is unavailable, not empty', async () => {
    await openBucket()
    const store = newBucketStore('another-bucket')
    await expectUnavailable(store.check())
    await expectUnavailable(store.read(newKey()))
    await expectUnavailable(store.put(newKey(), Buffer.from('x')))
  })

  test('rejected credentials make it unavailable, and are not repeated', async () => {
    await openBucket()
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'UNKNOWN')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'not-the-secret')
    const error = await expectUnavailable(newBucketStore().put(newKey(), Buffer.from('x')))
    expect(String(error.cause)).not.toContain('not-the-secret')
  })

  test('a closed port is unavailable at once', { timeout: 10_000 }, async () => {
    useEndpoint(await freePort())
    await expectUnavailableWithin(5_000)
  })

  test('an endpoint that never answers is unavailable in time', {
    timeout: 30_000,
  }, async () => {
    useEndpoint(await silentServer())
    await expectUnavailableWithin(5_000)
  })

  test('missing credentials are unavailable in time', { timeout: 30_000 }, async () => {
    useEndpoint(await freePort())
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined)
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined)
    // Where a role's credentials would be asked for.
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `http://127.0.0.1:${await silentServer()}/`)
    await expectUnavailableWithin(5_000)
  })
})

async function expectUnavailableWithin(ms: number): Promise<void> {
  const store = newBucketStore()
  const started = performance.now()
  await Promise.all([
    expectUnavailable(store.put(newKey(), Buffer.from('x'))),
    expectUnavailable(store.remove(newKey())),
    expectUnavailable(store.read(newKey())),
    expectUnavailable(store.check()),
  ])
  expect(performance.now() - started).toBeLessThan(ms)
}

/** The port of a server that takes connections and says nothing. */
async function silentServer(): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return listen(server)
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (address && typeof address === 'object') resolve(address.port)
      else reject(new Error('the server has no port'))
    })
  })
}
