// The client against a running service, and behind a gateway that fails.
import { expect, it } from 'vitest'
import { startFaultyGateway } from '../../test/support/faulty-gateway.ts'
import { png } from '../../test/support/picture.ts'
import { startService, uniqueName } from '../../test/support/service.ts'
import { ConnectionError, openUserDirectory, ProblemError } from '../src/index.ts'

const service = await startService()
const token = service.tokens.admin
const directory = openUserDirectory({ url: `${service.url}/`, token: async () => token })
const { users } = directory
const makeUser = () => users.create({ username: uniqueName(), password: null })

/** A client of its own gateway. */
async function openBehindGateway(options: { timeoutMs?: number } = {}) {
  const gateway = await startFaultyGateway(service.url)
  return { gateway, ...openUserDirectory({ url: gateway.url, token, ...options }) }
}

const problemOf = (call: Promise<unknown>) =>
  call.then(
    () => expect.fail('the call must fail'),
    (error: unknown) => error,
  ) as Promise<ProblemError>

it('creates, reads, changes and erases a user', async () => {
  const created = await users.create({ username: uniqueName(), password: 'a-good-password' })
  expect(created.version).toBe(1)
  expect(await users.get(created.id)).toEqual(created)
  const patched = await users.patch(created.id, { name: 'Ada' }, { version: 1 })
  expect([patched.name, patched.version]).toEqual(['Ada', 2])
  expect((await users.replace(created.id, { username: created.username })).name).toBeNull()
  await users.erase(created.id, { version: 3 })
  expect(await problemOf(users.get(created.id))).toMatchObject({
    name: 'ProblemError',
    status: 404,
    type: 'urn:problem:not-found',
  })
})

it('a problem lists every fault, with the request id', async () => {
  const problem = await problemOf(users.create({ username: '', password: 'short' }))
  expect(problem).toBeInstanceOf(ProblemError)
  expect(problem.errors.map(({ pointer }) => pointer).sort()).toEqual(['/password', '/username'])
  expect(problem.requestId).toMatch(/./)
})

it('iterates over all pages, and stops early without reading further', async () => {
  const prefix = uniqueName('page')
  const names = Array.from({ length: 5 }, (_, at) => `${prefix}.${at}`)
  for (const username of names) await users.create({ username, password: null })
  const { gateway, users: behind } = await openBehindGateway()
  const found: string[] = []
  for await (const { username } of behind.list({ search: prefix, sort: 'username', limit: 2 }))
    found.push(username)
  expect([found, gateway.requests.length]).toEqual([names, 3])
  for await (const _ of behind.list({ search: prefix, limit: 2 })) break
  expect(gateway.requests.length).toBe(4)
  expect(await users.page({ search: prefix, count: 'exact', limit: 1 })).toMatchObject({ total: 5 })
})

it('lists by attributes, each with its parameter’s whole name', async () => {
  const team = uniqueName('team & co=')
  const user = await users.create({ username: uniqueName(), password: null, attributes: { team, level: 3 } })
  const page = (level: string) =>
    users.page({ attribute: { 'attribute.team': team, 'attribute.level': level }, status: 'ACTIVE' })
  expect((await page('3')).items).toEqual([user])
  expect((await page('4')).items).toEqual([])
})

it('update reads and patches again after a concurrent change, and loses none of ten', async () => {
  const { id } = await makeUser()
  const added = Array.from({ length: 10 }, (_, at) => String(at))
  const add = (word: string) =>
    users.update(id, ({ name }) => ({ name: `${name ?? ''}${word}` }), { attemptsMax: 20 })
  await Promise.all(added.map(add))
  expect([...((await users.get(id)).name ?? '')].sort()).toEqual(added)
})

it('update gives up after its attempts, and changes nothing without changes', async () => {
  const { id } = await makeUser()
  let attempts = 0
  const lose = async () => {
    attempts++
    await users.patch(id, { name: String(attempts) })
    return { name: 'mine' }
  }
  expect(await problemOf(users.update(id, lose, { attemptsMax: 3 }))).toMatchObject({
    status: 412,
    version: 4,
  })
  expect(attempts).toBe(3)
  expect((await users.update(id, () => undefined)).version).toBe(4)
})

it('uploads an avatar as bytes, as a Blob and as a stream', async () => {
  const { id } = await makeUser()
  const image = await png()
  const { file_path } = await users.uploadAvatar(id, image)
  expect((await users.get(id)).avatar).toBe(file_path)
  expect(await users.uploadAvatar(id, new Blob([image]))).toMatchObject({ file_path })
  expect(await users.uploadAvatar(id, new Blob([image]).stream())).toMatchObject({ file_path })
  expect(await problemOf(users.uploadAvatar(id, image, { version: 1 }))).toMatchObject({ status: 412 })
})

it('every request is sent again after 429, a creation only once after 503', async () => {
  const { gateway, users } = await openBehindGateway()
  const username = uniqueName()
  const busy = { status: 429, headers: { 'retry-after': '0' } }
  gateway.faults.push(busy, busy)
  expect((await users.create({ username, password: null })).username).toBe(username)
  expect(gateway.requests.length).toBe(3)
  gateway.faults.push({ status: 503, headers: { 'retry-after': '0' } })
  const body = { username: uniqueName(), password: null }
  expect(await problemOf(users.create(body))).toMatchObject({ status: 503, type: 'about:blank' })
  expect(gateway.requests.length).toBe(4)
})

it('waits as long as Retry-After says, and at most half a minute', async () => {
  const { id } = await makeUser()
  const { gateway, users } = await openBehindGateway()
  gateway.faults.push({ status: 503, headers: { 'retry-after': '1' } })
  const startedAt = performance.now()
  await users.get(id)
  expect(performance.now() - startedAt).toBeGreaterThan(990)
  gateway.faults.push({ status: 503, headers: { 'retry-after': '3600' } })
  expect(await problemOf(users.get(id))).toMatchObject({ status: 503 })
  expect(gateway.requests.length).toBe(3)
})

it('a read is repeated after a lost answer, four times in all', async () => {
  const { id } = await makeUser()
  const { gateway, users } = await openBehindGateway()
  gateway.faults.push('cut before', 'cut after', 'cut after')
  expect((await users.get(id)).id).toBe(id)
  gateway.faults.push(...Array.from({ length: 5 }, () => 'cut before' as const))
  expect(await problemOf(users.get(id))).toBeInstanceOf(ConnectionError)
  expect(gateway.requests.length).toBe(8)
})

it('a creation, a patch and a conditional change with a lost answer are not repeated', async () => {
  const { id } = await makeUser()
  const { gateway, users } = await openBehindGateway()
  const calls = [
    () => users.create({ username: uniqueName(), password: null }),
    () => users.patch(id, { name: 'Ada' }),
    () => users.replace(id, { username: uniqueName() }, { version: 2 }),
  ]
  for (const call of calls) {
    gateway.faults.push('cut after')
    expect(await problemOf(call())).toBeInstanceOf(ConnectionError)
  }
  expect(gateway.requests.length).toBe(calls.length)
})

it('an erasure whose answer was lost succeeds when repeated', async () => {
  const { id } = await makeUser()
  const { gateway, users } = await openBehindGateway()
  gateway.faults.push('cut after')
  await users.erase(id)
  expect(gateway.requests.length).toBe(2)
  expect(await problemOf(users.erase(id))).toMatchObject({ status: 404 })
})

it('a call ends with its time limit, and with its signal, also while it waits to retry', async () => {
  const { id } = await makeUser()
  const slow = await openBehindGateway({ timeoutMs: 50 })
  slow.gateway.faults.push(...Array.from({ length: 4 }, () => 'hang' as const))
  expect(await problemOf(slow.users.get(id))).toMatchObject({ name: 'ConnectionError', isTimeout: true })

  const { gateway, users } = await openBehindGateway()
  for (const fault of ['hang', { status: 503, headers: { 'retry-after': '20' } }] as const) {
    gateway.faults.push(fault)
    const reason = new Error('stopped')
    const controller = new AbortController()
    const before = gateway.requests.length
    const call = users.get(id, { signal: controller.signal })
    await expect.poll(() => gateway.requests.length).toBeGreaterThan(before)
    controller.abort(reason)
    expect(await problemOf(call)).toBe(reason)
  }
})

it('an answer that is no problem document becomes an error without its text', async () => {
  const { id } = await makeUser()
  const { gateway, users } = await openBehindGateway()
  gateway.faults.push({ status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>Bad gateway</h1>' })
  expect(await problemOf(users.get(id))).toMatchObject({
    status: 502,
    type: 'about:blank',
    message: 'Status 502',
  })
})

it('a token does not follow a redirect', async () => {
  const { id } = await makeUser()
  const { gateway, users } = await openBehindGateway()
  const elsewhere = await startFaultyGateway(service.url)
  const redirect = { status: 307, headers: { location: `${elsewhere.url}/user/${id}` } }
  gateway.faults.push(redirect, redirect, redirect, redirect)
  expect(await problemOf(users.get(id))).toBeInstanceOf(ConnectionError)
  expect(elsewhere.requests).toEqual([])
})

it('a wrong token is a problem with status 401', async () => {
  const { users } = openUserDirectory({ url: service.url, token: 'wrong' })
  expect(await problemOf(users.page())).toMatchObject({ status: 401, type: 'urn:problem:unauthenticated' })
})

it('exports are listed from the newest, and cancelled', async () => {
  const { exports } = directory
  const created = await exports.create({ format: 'csv' })
  for await (const job of exports.list()) {
    expect(job).toEqual(created)
    break
  }
  expect(await exports.cancel(created.id)).toMatchObject({ id: created.id, state: 'cancelled' })
})
