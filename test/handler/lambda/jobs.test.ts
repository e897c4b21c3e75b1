// Imports, exports and bulk changes on AWS: the API's function signs addresses in S3, and a function of their own runs the jobs.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, expect, it } from 'vitest'
import { openUserDirectory } from '../../../client/src/index.ts'
import type { GatewayReply } from '../../../src/handler/lambda/gateway-event.ts'
import type { Job } from '../../../src/model/job.ts'
import { freshDatabase } from '../../support/database.ts'
import { packagedFunctions } from '../../support/functions.ts'
import { ndjson } from '../../support/import.ts'
import { clientId } from '../../support/issuer.ts'
import { restEvent, startFunction } from '../../support/lambda.ts'
import { startS3 } from '../../support/s3.ts'
import { realServices, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const { folder } = await packagedFunctions()
const s3 = await startS3()
afterAll(s3.stop)
const poolId = 'eu-west-1_AbCdEfGhI'
const env = {
  ...realServices(),
  ...s3.env,
  NODE_ENV: 'production',
  DATABASE_URL: await freshDatabase(),
  COGNITO_USER_POOL_ID: poolId,
  COGNITO_CLIENT_ID: clientId,
}
const lines: string[] = []
const api = await startFunction(join(folder, 'api.js'), env, (line) => lines.push(line))
const jobs = await startFunction(join(folder, 'run-jobs.js'), env, (line) => lines.push(line))
afterAll(() => Promise.all([api.close(), jobs.close()]))

const admin = {
  iss: `https://cognito-idp.eu-west-1.amazonaws.com/${poolId}`,
  sub: '7b1d',
  token_use: 'access',
  client_id: clientId,
  username: 'root',
  'cognito:groups': ['admins'],
}

/** The API's function behind a server, so that the client follows redirects by itself. */
const gateway = createServer((incoming, response) => void forward(incoming, response))
await new Promise<void>((done) => gateway.listen(0, '127.0.0.1', done))
afterAll(() => void gateway.close())
const origin = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`

async function forward(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '', headers } = incoming
  const parts: Uint8Array[] = []
  for await (const part of incoming) parts.push(part)
  const request = new Request(origin + url, {
    method,
    headers: { ...(headers['content-type'] !== undefined && { 'content-type': headers['content-type'] }) },
    ...(parts.length > 0 && { body: new Uint8Array(Buffer.concat(parts)) }),
  })
  const answer = (await api.invoke(await restEvent(request, admin))) as GatewayReply
  response.writeHead(answer.statusCode, answer.headers).end(answer.body)
}

const { users, imports, exports, bulk } = openUserDirectory({
  url: origin,
  token: 'administrator',
  attemptsMax: 1,
})
const run = (timeoutMs = 900_000) => jobs.invoke({ source: 'aws.events' }, timeoutMs)
const line = (value: object) => ndjson([value])
const oneUser = () => line({ username: uniqueName() })

it('a file goes to the store by a signed address, and users move in and out', async () => {
  const [username, other] = [uniqueName(), uniqueName()]
  const created = await imports.create({ format: 'ndjson' })
  expect(created.upload.url).toMatch(`${s3.env.AWS_ENDPOINT_URL_S3}/avatars/jobs/`)
  await imports.sendFile(created, ndjson([{ username }, { username: 'no spaces' }, { username: other }]))
  await imports.start(created.id)
  await run()
  const job: Job = await imports.get(created.id)
  expect(job).toMatchObject({ state: 'done', created: 2, refused: 1 })
  expect(job.bytes_read).toBe(job.bytes_total)
  const refused = []
  for await (const row of imports.errors(created.id)) refused.push(row.line)
  expect(refused).toEqual([2])

  const { id } = await exports.create({ format: 'ndjson' })
  await run()
  const file = await new Response(await exports.file(id)).text()
  expect(file.match(/"username":"[^"]+"/g)).toEqual([username, other].map((name) => `"username":"${name}"`))
})

it('the store names the type of an export’s file, and forbids to cache it', async () => {
  const { id } = await exports.create({ format: 'csv' })
  await run()
  const { status, headers } = await fetch(`${origin}/export/${id}/file`, { redirect: 'manual' })
  expect([status, headers.get('cache-control')]).toEqual([303, 'no-store'])
  const location = headers.get('location') ?? ''
  const answer = await fetch(location)
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    'content-type': 'text/csv; charset=utf-8',
    'content-disposition': 'attachment; filename="users.csv"',
    'cache-control': 'no-store',
  })
  expect(new URL(location).searchParams.get('X-Amz-Expires')).toBe('60')
})

it('an import starts only with a file that is not empty', async () => {
  const created = await imports.create({ format: 'ndjson' })
  await expect(imports.start(created.id)).rejects.toMatchObject({ status: 409 })
  await imports.sendFile(created, ndjson([]))
  await expect(imports.start(created.id)).rejects.toMatchObject({ status: 409 })
  await imports.sendFile(created, oneUser())
  expect(await imports.start(created.id)).toMatchObject({ state: 'waiting' })
  await imports.cancel(created.id)
})

it('a file that is replaced after the start is refused', async () => {
  const created = await imports.create({ format: 'ndjson' })
  await imports.sendFile(created, oneUser())
  await imports.start(created.id)
  await imports.sendFile(created, oneUser())
  await run()
  expect(await imports.get(created.id)).toMatchObject({
    state: 'failed',
    created: 0,
    error: expect.stringContaining('replaced'),
  })
})

it('hashes in a second file go to the store, too', async () => {
  const created = await imports.create({ format: 'auth0' })
  const name = uniqueName()
  const user = { user_id: `auth0|${name}`, email: `${name}@example.com` }
  const passwordHash = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'
  await imports.sendHashes(created, line({ _id: { $oid: name }, email: user.email, passwordHash }))
  await imports.sendFile(created, line(user))
  await imports.start(created.id)
  await run()
  expect(await imports.get(created.id)).toMatchObject({ error: null, state: 'done', created: 1 })
  const { id } = await exports.create({
    format: 'ndjson',
    filters: { external_id: user.user_id },
    include_hashes: true,
  })
  await run()
  expect(await new Response(await exports.file(id)).text()).toContain(passwordHash)
})

it('a run without time leaves the job to the next one', async () => {
  const created = await imports.create({ format: 'ndjson' })
  await imports.sendFile(created, oneUser())
  const { id } = await imports.start(created.id)
  await run(20_000)
  expect(await imports.get(id)).toMatchObject({ created: 0, ended_at: null })
  await run()
  expect(await imports.get(id)).toMatchObject({ state: 'done', created: 1 })
})

it('after a SIGKILL in the middle of an import the next call goes on from the last chunk', async () => {
  const team = uniqueName()
  const names = Array.from({ length: 10_000 }, (_, at) => `${team}.${at}`)
  const created = await imports.create({ format: 'ndjson' })
  await imports.sendFile(created, ndjson(names.map((username) => ({ username }))))
  const { id } = await imports.start(created.id)
  const killed = run().catch((error: Error) => error)
  const read = async () => (await imports.get(id)).rows_read
  await until('the first chunk', async () => (await read()) > 0, 60_000)
  jobs.process()?.kill('SIGKILL')
  expect(await killed).toMatchObject({ message: 'the function has ended' })
  const rows = await read()
  expect(await imports.get(id)).toMatchObject({ state: 'running', ended_at: null })
  expect(rows).toBeLessThan(names.length)

  // The lease of the killed function is still valid.
  await run()
  expect(await read()).toBe(rows)
  const database = new pg.Client({ connectionString: env.DATABASE_URL })
  await database.connect()
  await database.query('UPDATE jobs SET leased_until = now() WHERE id = $1', [id])
  await run()
  expect(await imports.get(id)).toMatchObject({ state: 'done', created: names.length, refused: 0 })
  const { rows: stored } = await database.query(
    'SELECT count(*)::int AS users, count(DISTINCT username)::int AS names FROM users WHERE username LIKE $1',
    [`${team}.%`],
  )
  await database.end()
  expect(stored).toEqual([{ users: names.length, names: names.length }])
}, 120_000)

it('a file is sent as a stream if its size is known', async () => {
  const created = await imports.create({ format: 'ndjson' })
  const file = oneUser()
  await imports.sendFile(created, new Blob([file]).stream(), { size: file.length })
  await imports.start(created.id)
  await run()
  expect(await imports.get(created.id)).toMatchObject({ state: 'done', bytes_total: file.length })
})

it('of a file through the API and one in the store, the first counts', async () => {
  const created = await imports.create({ format: 'ndjson' })
  const [username, other] = [uniqueName(), uniqueName()]
  await imports.sendFile(created, line({ username: other }))
  const own = { method: 'PUT' as const, url: `/import/${created.id}/file` }
  await imports.sendFile({ ...created, upload: own }, line({ username }))
  await imports.start(created.id)
  await run()
  expect(await imports.get(created.id)).toMatchObject({ state: 'done', created: 1 })
  const { id } = await exports.create({ format: 'ndjson', filters: { username } })
  await run()
  expect(await new Response(await exports.file(id)).text()).toContain(username)
})

it('logs hold no signed address', () => {
  expect(lines.length).toBeGreaterThan(10)
  expect(lines.join()).not.toContain('X-Amz-')
})

it('a bulk change goes through the gateway, is run by the function, and is undone', async () => {
  const { id } = await users.create({ username: uniqueName(), password: 'a-good-password' })
  const created = await bulk.create({ action: 'block', ids: [id] })
  await run()
  expect(await bulk.get(created.id)).toMatchObject({ state: 'done', updated: 1 })
  expect(await users.get(id)).toMatchObject({ status: 'BLOCKED', version: 2 })
  const undo = await bulk.undo(created.id)
  await run()
  expect(await bulk.get(undo.id)).toMatchObject({ state: 'done', updated: 1 })
  expect(await users.get(id)).toMatchObject({ status: 'ACTIVE', version: 3 })
})
