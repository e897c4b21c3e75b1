// Avatars as data URIs in the rows of our own formats.
import { expect, it } from 'vitest'
import type { User } from '../../../src/model/user.ts'
import { errorsOf, ndjson, runImport } from '../../support/import.ts'
import { png, pngThatClaims } from '../../support/picture.ts'
import { startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const { call } = service
const picture = await png()
const dataUri = (bytes: Uint8Array, type = 'image/png') =>
  `data:${type};base64,${Buffer.from(bytes).toString('base64')}`
const find = async (username: string) =>
  (await call<{ items: User[] }>('GET', `/user?username=${username}`)).body.items[0]

it('a good picture is stored as an upload would be, in NDJSON and CSV', async () => {
  const [line, cell] = [uniqueName(), uniqueName()]
  await runImport(service, ndjson([{ username: line, avatar: dataUri(picture) }]))
  const csv = Buffer.from(`username,avatar\n${cell},"${dataUri(picture)}"\n`)
  await runImport(service, csv, { format: 'csv' })
  const uploaded = await service.makeUser({ avatar: dataUri(picture) })
  const digestOf = (user: User | undefined) => user?.avatar?.split('/').at(-1)
  for (const username of [line, cell]) {
    const user = await find(username)
    expect(digestOf(user)).toBe(digestOf(uploaded as unknown as User))
    const image = await fetch(service.url + new URL(user?.avatar_url ?? '').pathname)
    expect([image.status, image.headers.get('content-type')]).toEqual([200, 'image/webp'])
  }
})

it('a picture that the API refuses ends its row alone, and a dry run says the same', async () => {
  const good = uniqueName()
  const { id } = await service.makeUser()
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')
  const file = ndjson([
    { username: uniqueName(), avatar: dataUri(picture.subarray(0, 40)) },
    { username: uniqueName(), avatar: dataUri(svg, 'image/svg+xml') },
    { username: uniqueName(), avatar: dataUri(svg) },
    { username: uniqueName(), avatar: dataUri(pngThatClaims(30_000, 30_000)) },
    { username: uniqueName(), avatar: dataUri(Buffer.alloc(1_000_000)) },
    { username: uniqueName(), avatar: 'data:image/png,plain' },
    { username: uniqueName(), avatar: 'https://example.com/a.png' },
    { username: uniqueName(), avatar: `avatars/${id}/${'0'.repeat(64)}.webp` },
    { username: good, avatar: dataUri(picture) },
  ])
  const unsupported = 'The image format is not supported. Send PNG, JPEG, WebP, GIF or AVIF.'
  const faults = [
    { line: 1, pointer: '/avatar', message: expect.stringContaining('The image is broken') },
    { line: 2, pointer: '/avatar', message: unsupported },
    { line: 3, pointer: '/avatar', message: unsupported },
    { line: 4, pointer: '/avatar', message: expect.stringContaining('megapixels') },
    { line: 5, pointer: '', message: 'must be at most 1000000 bytes' },
    { line: 6, pointer: '/avatar', message: 'must be a base64 data URI of an image' },
    { line: 7, pointer: '/avatar', message: expect.stringContaining('must be a base64 data URI') },
    { line: 8, pointer: '/avatar', message: expect.stringContaining('has no image in the store') },
  ]
  for (const dry_run of [true, false]) {
    const job = await runImport(service, file, { dry_run })
    expect(job).toMatchObject({ state: 'done', created: 1, refused: 8 })
    expect(await errorsOf(service, job.id)).toEqual(faults)
    expect((await find(good)) !== undefined).toBe(!dry_run)
  }
})

it('a dry run stores no picture', async () => {
  const stored = await service.makeUser()
  const file = ndjson([{ username: stored.username, avatar: dataUri(picture) }])
  const job = await runImport(service, file, { dry_run: true, on_conflict: 'update' })
  expect(job).toMatchObject({ updated: 1 })
  expect((await find(stored.username))?.avatar).toBeNull()
})
