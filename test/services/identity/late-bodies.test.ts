// The end of a session also ends its unfinished requests. A change that was answered before a request's last byte
// arrived, or before the request got its lock, always wins.
import { readdir } from 'node:fs/promises'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import type { User } from '../../../src/model/user.ts'
import { patchUser } from '../../../src/services/users/patch.ts'
import { machine, writeContext } from '../../support/caller.ts'
import { atEnd } from '../../support/cleanup.ts'
import { png } from '../../support/picture.ts'
import { sendLate } from '../../support/raw.ts'
import { realServices, startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const env = { REDIS_URL: realServices().REDIS_URL ?? '' }
const first = await startService({ env })
const second = await startService({ env, beside: first })
const { issuer, makeUser } = first
const picture = await png()

const admins = { 'cognito:groups': ['admins'] }
const tokenOf = ({ username }: User, claims: Record<string, unknown> = {}) =>
  issuer.token({ username, ...claims })
const patch = ({ id }: User, json: object) => second.call('PATCH', `/user/${id}`, { json })

const endings: [what: string, end: (user: User) => Promise<{ status: number }>][] = [
  ['blocked', (user) => patch(user, { status: 'BLOCKED' })],
  ['erased', ({ id }) => second.call('DELETE', `/user/${id}`)],
  ['given a new password', (user) => patch(user, { password: 'another-password' })],
  ['renamed', (user) => patch(user, { username: uniqueName() })],
]

type Write = { method: string; path: string; type: string; body: string | Uint8Array }

const json = (value: object) => ({ type: 'application/json', body: JSON.stringify(value) })
const form = Buffer.concat([
  Buffer.from('--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'),
  picture,
  Buffer.from('\r\n--x--\r\n'),
])

/** Every write of a user with a body. */
const writesOn = ({ id, username }: User): Write[] => [
  { method: 'PATCH', path: `/user/${id}`, ...json({ name: 'Late' }) },
  { method: 'PUT', path: `/user/${id}`, ...json({ username, name: 'Late' }) },
  { method: 'POST', path: `/upload/${id}`, type: 'image/png', body: picture },
  { method: 'POST', path: `/upload/${id}`, type: 'multipart/form-data; boundary=x', body: form },
  {
    method: 'POST',
    path: `/upload/${id}`,
    ...json({ image_data: Buffer.from(picture).toString('base64') }),
  },
]
const creation = (fields: object = {}): Write => ({
  method: 'POST',
  path: '/user',
  ...json({ username: uniqueName('late'), password: 'a-good-password', ...fields }),
})

/** Sends requests without their last bytes, and waits until the server has looked up their caller. */
async function begin(token: string, writes: Write[]) {
  const begun = await Promise.all(
    writes.map(({ method, path, type, body }) =>
      sendLate(first.url, {
        method,
        path,
        headers: { authorization: `Bearer ${token}`, 'content-type': type },
        body,
      }),
    ),
  )
  // This request follows them, and is answered after the look-up that all of them share.
  await first.call('GET', `/user?limit=1`, { token })
  return begun
}

/** Everything that is stored. */
async function stored(): Promise<string> {
  const { rows } = await first.connections.db.query((queries) =>
    queries.execute(`
      SELECT (SELECT json_agg(u ORDER BY id) FROM users u) AS users,
        (SELECT json_agg(c ORDER BY id) FROM contacts c) AS contacts`),
  )
  const files = await readdir(first.avatarDirectory, { recursive: true }).catch(() => [])
  return JSON.stringify({ rows, files: files.filter((name) => name.endsWith('.webp')).sort() })
}

it('a request with a late body succeeds while its caller’s session lasts', async () => {
  const me = await makeUser()
  const target = await makeUser()
  const writes = [...writesOn(target), creation()]
  const begun = await begin(await tokenOf(me, admins), writes)
  await patch(me, { name: 'Still here' })
  for (const { finish } of begun) expect((await finish()).status).toBeLessThan(300)
})

describe.each(endings)('a request whose body ends after its caller was %s', (_what, end) => {
  it.each([
    ['an administrator', admins],
    ['a user on the own record', {}],
  ])('is refused, and changes nothing: %s', async (_who, claims) => {
    const me = await makeUser()
    const isAdmin = 'cognito:groups' in claims
    const writes = isAdmin
      ? [...writesOn(await makeUser()), creation(), creation({ username: me.username })]
      : writesOn(me)
    const begun = await begin(await tokenOf(me, claims), writes)
    expect((await end(me)).status).toBeLessThan(300)
    const before = await stored()
    for (const { finish } of begun) expect((await finish()).status).toBe(401)
    expect(await stored()).toBe(before)
  })
})

it('rejects a request whose token expires before the commit', async () => {
  const ctx = writeContext(first.connections)
  const target = await makeUser()
  const rename = (expiresAtMs: number) =>
    patchUser(
      ctx,
      {
        id: target.id,
        caller: { ...machine, claims: { ...machine.claims, expiresAtMs } },
        precondition: undefined,
      },
      { name: 'Late' },
    )
  await expect(rename(Date.now() - 60_000)).rejects.toMatchObject({ code: 'unauthenticated' })
  expect((await rename(Date.now() + 60_000)).name).toBe('Late')
})

it('compares no password for an ended session', async () => {
  const me = await makeUser()
  const write = { method: 'PATCH', path: `/user/${me.id}` }
  const body = json({ password: 'my-own-password', current_password: 'wrong' })
  const [late] = await begin(await tokenOf(me), [{ ...write, ...body }])
  await patch(me, { status: 'BLOCKED' })
  expect((await late?.finish())?.status).toBe(401)
})

describe('a change that ends the session of its own caller', () => {
  it.each([
    ['a block', (me: User) => ['PATCH', `/user/${me.id}`, { status: 'BLOCKED' }] as const],
    ['a rename', (me: User) => ['PATCH', `/user/${me.id}`, { username: uniqueName() }] as const],
    ['a new password', (me: User) => ['PATCH', `/user/${me.id}`, { password: 'another-password' }] as const],
    ['an erasure', (me: User) => ['DELETE', `/user/${me.id}`, undefined] as const],
  ])('is done, and is the last one: %s', async (_what, change) => {
    const me = await makeUser()
    const token = await tokenOf(me, admins)
    const [method, path, body] = change(me)
    expect((await first.call(method, path, { token, json: body })).status).toBeLessThan(300)
    expect((await first.call('PATCH', `/user/${me.id}`, { token, json: { name: 'x' } })).status).toBe(401)
  })

  it('succeeds for a user who proves the current password', async () => {
    const me = await makeUser()
    const body = { password: 'another-password', current_password: 'a-good-password' }
    const answer = await first.call('PATCH', `/user/${me.id}`, { token: await tokenOf(me), json: body })
    expect(answer.status).toBe(200)
  })
})

/** A database session with a lock that writes wait for. */
async function lockBy(statement: string, values: unknown[]) {
  const client = new pg.Client({ connectionString: first.databaseUrl })
  await client.connect()
  atEnd(() => client.end())
  await client.query('BEGIN')
  await client.query(statement, values)
  const watch = new pg.Client({ connectionString: first.databaseUrl })
  await watch.connect()
  atEnd(() => watch.end())
  return {
    untilAwaited: () =>
      until('a statement that waits for the lock', async () => {
        const { rowCount } = await watch.query(
          "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        return rowCount
      }),
    end: (how: 'COMMIT' | 'ROLLBACK') => client.query(how),
  }
}

describe('a write that waits for a lock', () => {
  it('is rejected if its caller is blocked during the wait', async () => {
    const [me, target] = [await makeUser(), await makeUser()]
    const token = await tokenOf(me, admins)
    const lock = await lockBy('SELECT 1 FROM users WHERE id = $1 FOR UPDATE', [target.id])
    const waiting = first.call('PATCH', `/user/${target.id}`, { token, json: { name: 'Late' } })
    await lock.untilAwaited()
    await patch(me, { status: 'BLOCKED' })
    await lock.end('ROLLBACK')
    expect((await waiting).status).toBe(401)
  })

  it('is rejected if it waits for that block itself', async () => {
    const me = await makeUser()
    const block = `UPDATE users SET status = 'BLOCKED', sessions_valid_from = clock_timestamp() WHERE id = $1`
    const lock = await lockBy(block, [me.id])
    const own = { token: await tokenOf(me), json: { name: 'Late' } }
    const waiting = first.call('PATCH', `/user/${me.id}`, own)
    await lock.untilAwaited()
    await lock.end('COMMIT')
    expect((await waiting).status).toBe(401)
  })

  it('that commits after a block it could not see counts as the last use of the session', async () => {
    const [me, target, other] = [await makeUser(), await makeUser(), await makeUser()]
    const token = await tokenOf(me, admins)
    const wanted = uniqueName()
    // The unique username makes a write wait after it has looked up its caller.
    const lock = await lockBy('UPDATE users SET username_folded = $1 WHERE id = $2', [wanted, other.id])
    const waiting = first.call('PATCH', `/user/${target.id}`, { token, json: { username: wanted } })
    await lock.untilAwaited()
    await patch(me, { status: 'BLOCKED' })
    const blockedAt = Date.now()
    await until('the clock to tell both apart', () => Date.now() > blockedAt + 20)
    await lock.end('ROLLBACK')
    expect((await waiting).status).toBe(200)
    // Until then the server may find the caller in its memory, which would be a later use.
    await until('a new look-up', () => Date.now() > blockedAt + 600)
    const ended = () => first.log.filter(({ message }) => message === 'session ended')
    const before = ended().length
    expect((await first.call('GET', `/user/${target.id}`, { token })).status).toBe(401)
    expect(
      ended()
        .slice(before)
        .map(({ fields }) => Number(fields.SessionOutlived) >= 20),
    ).toEqual([true])
  })
})
