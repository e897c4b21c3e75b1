// Concurrent requests: every acknowledged write is kept, writes never mix, and no read returns an older version.
// Two servers share one PostgreSQL, Redis and S3.

import { tmpdir } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import type { User } from '../../../src/model/user.ts'
import { tokenSettings } from '../../support/issuer.ts'
import { png } from '../../support/picture.ts'
import {
  type Answer,
  type CallOptions,
  realServices,
  startService,
  uniqueName,
} from '../../support/service.ts'
import { startServer } from '../../support/started-server.ts'

const env = realServices()
const first = await startService({ env })
const second = await startService({ env, beside: first })
const services = [first, second] as const
const { makeUser, call } = first
const { rules } = first.issuer
const serverEnv = {
  ...env,
  PATH: process.env.PATH ?? '',
  DATABASE_URL: first.databaseUrl,
  ...tokenSettings(rules),
  LOG_LEVEL: 'error',
}
const password = 'a-good-password'

const at = (turn: number) => services[turn % 2] as (typeof services)[number]
/** Calls `work` `count` times, with `width` calls at a time. */
async function crowd(count: number, width: number, work: (turn: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await work(next++)
    }),
  )
}
const statuses = (answers: Answer[]) => answers.map(({ status }) => status).sort()

it('three thousand mixed requests keep every acknowledged write and unique usernames, without a 5xx', async () => {
  /** The last acknowledged state of each user, which is known because each user has one writer. */
  const known = new Map<string, User>()
  const erased = new Set<string>()
  const seen = new Map<number, number>()
  // Separate processes, because clients in the same process would delay the servers.
  const servers = await Promise.all([startServer(tmpdir(), serverEnv), startServer(tmpdir(), serverEnv)])
  for (const { stop } of servers) onTestFinished(stop)
  const call = async (turn: number, method: string, path: string, { json, headers }: CallOptions = {}) => {
    const response = await fetch(`${servers[turn % 2]?.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${first.tokens.admin}`,
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(json !== undefined && { body: JSON.stringify(json) }),
    })
    const text = await response.text()
    const body = (text === '' ? undefined : JSON.parse(text)) as User
    return { status: response.status, headers: response.headers, body, text }
  }
  const send = async (turn: number, method: string, path: string, options?: CallOptions) => {
    // A 429 has had no effect, so retry after a random pause.
    for (;;) {
      const answer = await call(turn, method, path, options)
      seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1)
      expect(answer.status, `${method} ${path} ${answer.text}`).toBeLessThan(500)
      if (answer.status !== 429) return answer
      await pause(Math.random() * 1_000)
    }
  }
  const password_hash = inject('passwordHash')
  const contested = Array.from({ length: 20 }, () => uniqueName('Straße'))
  const winners = new Map<string, number>()

  // Each client owns one user after another, and reads the users of all.
  const clients = 250
  // Enough for every step below, and for one user after an erasure.
  const requests = 12 * clients
  await crowd(clients, clients, async (client) => {
    let mine: User | undefined
    for (let turn = client; turn < requests; turn += clients) {
      const step = Math.floor(turn / clients)
      const others = [...known.keys()]
      const other = others[(turn * 31) % Math.max(1, others.length)]
      if (!mine) {
        mine = (
          await send(turn, 'POST', '/user', {
            json: {
              username: uniqueName(),
              // Most send a hash, because hashing a thousand passwords would dominate the test.
              ...(client % 10 === 0 ? { password } : { password_hash }),
              contacts: [{ contact_type: 'WORK', value: `c ${turn}` }],
            },
          })
        ).body
        known.set(mine.id, mine)
      } else if (step % 10 === 3) {
        const contacts = Array.from({ length: step % 5 }, (_, n) => ({
          contact_type: 'PHONE' as const,
          value: `${turn}-${n}`,
        }))
        const { status, body } = await send(turn, 'PUT', `/user/${mine.id}`, {
          json: { ...mine, contacts, name: `name ${turn}` },
          headers: { 'if-match': `"${mine.version}"` },
        })
        expect(status).toBe(200)
        mine = body
        known.set(mine.id, mine)
      } else if (step % 10 === 5) {
        const { status, body } = await send(turn, 'PATCH', `/user/${mine.id}`, {
          json: { name: `patched ${turn}` },
        })
        expect(status).toBe(200)
        mine = body
        known.set(mine.id, mine)
      } else if (step % 10 === 7) {
        const name = contested[turn % contested.length] as string
        const { status } = await send(turn, 'POST', '/user', {
          json: {
            username: turn % 3 === 0 ? name.toUpperCase() : turn % 3 === 1 ? name.toLowerCase() : name,
            password_hash,
          },
        })
        expect([201, 409]).toContain(status)
        if (status === 201) winners.set(name, (winners.get(name) ?? 0) + 1)
      } else if (step % 20 === 9) {
        const gone: User = mine
        expect((await send(turn, 'DELETE', `/user/${gone.id}`)).status).toBe(204)
        known.delete(gone.id)
        erased.add(gone.id)
        mine = undefined
      } else if (step % 10 === 1) {
        expect((await send(turn, 'GET', `/user?limit=5&sort=-updated_at`)).status).toBe(200)
      } else {
        const { status, body } = await send(turn, 'GET', `/user/${mine.id}`)
        // Either server returns the acknowledged state, whichever filled the cache.
        expect(status).toBe(200)
        expect(body).toEqual(mine)
        if (other) expect([200, 404]).toContain((await send(turn, 'GET', `/user/${other}`)).status)
      }
    }
  })

  expect([...seen.values()].reduce((sum, count) => sum + count)).toBeGreaterThan(requests)
  for (const [id, user] of known)
    for (const service of services) expect((await service.call('GET', `/user/${id}`)).body).toEqual(user)
  for (const id of erased) expect((await second.call('GET', `/user/${id}`)).status).toBe(404)
  for (const name of contested) expect([name, winners.get(name)]).toEqual([name, 1])
}, 300_000)

describe('of concurrent writes', () => {
  it('two PUTs with the same If-Match get one 200 and one 412', async () => {
    for (let round = 0; round < 20; round++) {
      const user = await makeUser()
      const answers = await Promise.all(
        services.map((service, n) =>
          service.call('PUT', `/user/${user.id}`, {
            json: { username: user.username, name: `writer ${n}` },
            headers: { 'if-match': '"1"' },
          }),
        ),
      )
      expect(statuses(answers)).toEqual([200, 412])
      const winner = answers.find(({ status }) => status === 200)?.body
      for (const { call } of services) expect((await call('GET', `/user/${user.id}`)).body).toEqual(winner)
    }
  })

  it('fifty creations of one name in any case and form get one 201, and 409 else', async () => {
    const name = uniqueName('Ångström.ﬁ')
    const forms = [
      name,
      name.toUpperCase(),
      name.toLowerCase(),
      name.normalize('NFD'),
      name.normalize('NFKD'),
    ]
    const password_hash = inject('passwordHash')
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        at(n).call('POST', '/user', { json: { username: forms[n % forms.length], password_hash } }),
      ),
    )
    expect(statuses(answers)).toEqual([201, ...Array<number>(49).fill(409)])
  })

  it('of twenty renames to one name exactly one wins, and the others keep their names', async () => {
    const users = await Promise.all(Array.from({ length: 20 }, () => makeUser()))
    const username = uniqueName('wanted')
    const answers = await Promise.all(
      users.map(({ id }, n) => at(n).call('PATCH', `/user/${id}`, { json: { username } })),
    )
    expect(statuses(answers)).toEqual([200, ...Array<number>(19).fill(409)])
    for (const [n, { id, username: old }] of users.entries())
      expect((await call('GET', `/user/${id}`)).body.username).toBe(
        answers[n]?.status === 200 ? username : old,
      )
  })

  it('two users who swap names never get the same name', async () => {
    const [one, other] = [await makeUser(), await makeUser()]
    const answers = await Promise.all([
      first.call('PATCH', `/user/${one.id}`, { json: { username: other.username } }),
      second.call('PATCH', `/user/${other.id}`, { json: { username: one.username } }),
    ])
    for (const { status } of answers) expect([409, 200]).toContain(status)
    const names = [one, other].map(async ({ id }) => (await call('GET', `/user/${id}`)).body.username)
    expect(new Set(await Promise.all(names)).size).toBe(2)
  })

  it('forty PUTs of contacts leave those of one writer, and count forty versions', async () => {
    const user = await makeUser()
    const contactsOf = (writer: number) =>
      Array.from({ length: (writer % 7) + 1 }, (_, n) => ({ contact_type: 'WORK', value: `${writer}/${n}` }))
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        at(n).call('PUT', `/user/${user.id}`, {
          json: { username: user.username, name: `writer ${n}`, contacts: contactsOf(n) },
        }),
      ),
    )
    expect(answers.map(({ body }) => body.version).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 40 }, (_, n) => n + 2),
    )
    const left = (await call('GET', `/user/${user.id}`)).body
    expect(left.version).toBe(41)
    expect(answers.find(({ body }) => body.version === 41)?.body).toEqual(left)
    const writer = Number(left.name?.slice('writer '.length))
    expect(left.contacts.map(({ contact_type, value }) => ({ contact_type, value }))).toEqual(
      contactsOf(writer),
    )
  })

  it('patches of different fields are all kept', async () => {
    const user = await makeUser({ name: 'Before' })
    const contacts = [{ contact_type: 'PHONE', value: '+1' }]
    const answers = await Promise.all([
      first.call('PATCH', `/user/${user.id}`, { json: { name: 'After' } }),
      second.call('PATCH', `/user/${user.id}`, { json: { contacts } }),
      first.call('PATCH', `/user/${user.id}`, { json: { status: 'BLOCKED' } }),
      second.call('PATCH', `/user/${user.id}`, { json: { password: 'another-password' } }),
    ])
    expect(statuses(answers)).toEqual([200, 200, 200, 200])
    expect((await call('GET', `/user/${user.id}`)).body).toMatchObject({
      name: 'After',
      status: 'BLOCKED',
      contacts,
      version: 5,
    })
  })

  it('an erasure among changes wins, and no change is acknowledged after it', async () => {
    for (let round = 0; round < 10; round++) {
      const user = await makeUser({ contacts: [{ contact_type: 'WORK', value: 'x' }] })
      const answers = await Promise.all([
        ...Array.from({ length: 6 }, (_, n) =>
          at(n).call('PATCH', `/user/${user.id}`, { json: { name: `${n}`, contacts: [] } }),
        ),
        second.call('DELETE', `/user/${user.id}`),
        first.call('DELETE', `/user/${user.id}`),
      ])
      for (const { status } of answers.slice(0, 6)) expect([200, 404]).toContain(status)
      expect(statuses(answers.slice(6))).toEqual([204, 404])
      for (const { call } of services) expect((await call('GET', `/user/${user.id}`)).status).toBe(404)
    }
  })

  it('uploads leave one of their paths with its object, and no other objects', async () => {
    const user = await makeUser()
    const images = await Promise.all(['#f00', '#0f0', '#00f', '#ff0', '#0ff', '#f0f'].map(png))
    const answers = await Promise.all(
      images.map((body, n) =>
        at(n).call<{ file_path: string }>('POST', `/upload/${user.id}`, {
          body,
          headers: { 'content-type': 'image/png' },
        }),
      ),
    )
    for (const { status } of answers) expect(status).toBe(200)
    const { avatar } = (await call('GET', `/user/${user.id}`)).body
    for (const { body } of answers) {
      const object = await call('GET', `/${body.file_path}`, { token: null })
      expect(object.status).toBe(body.file_path === avatar ? 200 : 404)
    }
    expect(answers.map(({ body }) => body.file_path)).toContain(avatar)
  })

  it('uploads of the same image and its removal leave path and object consistent', async () => {
    const body = await png('#123')
    for (let round = 0; round < 8; round++) {
      const user = await makeUser()
      await Promise.all(
        Array.from({ length: 6 }, (_, n) =>
          n % 3 === 2
            ? at(n).call('PATCH', `/user/${user.id}`, { json: { avatar: null } })
            : at(n).call('POST', `/upload/${user.id}`, { body, headers: { 'content-type': 'image/png' } }),
        ),
      )
      const { avatar } = (await call('GET', `/user/${user.id}`)).body
      if (avatar) expect((await call('GET', `/${avatar}`, { token: null })).status).toBe(200)
    }
  })
})

it('no read on either server returns a version older than one acknowledged before it', async () => {
  const user = await makeUser()
  let acknowledged = 1
  let isOver = false
  const readers = Array.from({ length: 24 }, async (_, n) => {
    while (!isOver) {
      const before = acknowledged
      const { body } = await at(n).call('GET', `/user/${user.id}`)
      expect(body.version).toBeGreaterThanOrEqual(before)
    }
  })
  for (let write = 0; write < 60; write++) {
    const { body } = await at(write).call('PATCH', `/user/${user.id}`, { json: { name: `write ${write}` } })
    acknowledged = body.version
  }
  isOver = true
  await Promise.all(readers)
  expect(acknowledged).toBe(61)
})
