// Length is checked before content: text that is expensive to process is rejected for its size, in every field.
import { expect, it } from 'vitest'
import { admitUser, migrateUser } from '../../../src/services/cognito/triggers.ts'
import { checkPassword } from '../../../src/services/identity/check-password.ts'
import { startService } from '../../support/service.ts'

const service = await startService()
const { call, connections, issuer, makeUser } = service
const me = await makeUser()
const token = await issuer.token({ username: me.username })

/** Normalising takes quadratic time in the number of unordered marks: minutes for a million. */
const costly = (marks: number) => `a${'\u0301\u0323'.repeat(marks / 2)}`
// A million marks take minutes if they are normalised, and milliseconds otherwise.
const million = costly(1_000_000)

type Problem = { errors?: { pointer: string; message: string }[] }

it('a username of 8 MB is rejected, and probes are answered meanwhile', async () => {
  let answered = 0
  let isOver = false
  const probing = (async () => {
    for (; !isOver; answered++) expect((await call('GET', '/health', { token: null })).status).toBe(200)
  })()
  const json = { username: costly(4_000_000) }
  const { status, body } = await call<Problem>('PATCH', `/user/${me.id}`, { token, json })
  isOver = true
  await probing
  expect(status).toBe(400)
  expect(body.errors).toEqual([{ pointer: '/username', message: 'must be 1 to 128 characters' }])
  expect(answered).toBeGreaterThan(0)
})

it.each([
  ['/username', { username: million }, 'must be 1 to 128 characters'],
  ['/name', { name: million }, 'must be at most 200 characters'],
  ['/password', { password: million }, 'must be 8 to 128 characters'],
  ['/password', { password: `${'\u3000'.repeat(1_000_000)}` }, 'must be 8 to 128 characters'],
  [
    '/current_password',
    { password: 'good-password', current_password: million },
    'must be 1 to 1024 characters',
  ],
  [
    '/contacts/0/value',
    { contacts: [{ contact_type: 'WORK', value: million }] },
    'must be 1 to 256 characters',
  ],
  [
    '/contacts/0/value',
    { contacts: [{ contact_type: 'EMAIL', value: `${'a'.repeat(1_000_000)}@x` }] },
    'must be 1 to 256 characters',
  ],
  ['/external_id', { external_id: million }, 'must be 1 to 255 characters'],
  ['/attributes/a', { attributes: { a: million } }, /^must be text of at most 512 characters/],
  [`/attributes/${'a'.repeat(100)}…`, { attributes: { ['a'.repeat(1_000_000)]: 1 } }, /^must have a name/],
  [
    '/attributes',
    { attributes: Object.fromEntries(Array.from({ length: 1_001 }, (_, at) => [`k${at}`, at])) },
    'must contain at most 1000 items',
  ],
  ['/contacts/0/id', { contacts: [{ id: million, contact_type: 'WORK', value: 'x' }] }, 'must be a UUID'],
  ['/contacts/0/contact_type', { contacts: [{ contact_type: million, value: 'x' }] }, /^must be one of/],
  ['/status', { status: million }, /^must be one of/],
  ['/id', { id: million }, 'must be a UUID'],
  ['/avatar', { avatar: million }, /^must be an image/],
  ['/avatar', { avatar: `data:image/png;${million}` }, /^must be/],
])('%s is rejected for its size', async (pointer, json, message) => {
  const { status, body } = await call<Problem>('PATCH', `/user/${me.id}`, { token, json })
  expect(status).toBe(400)
  expect(body.errors).toEqual([
    { pointer, message: typeof message === 'string' ? message : expect.stringMatching(message) },
  ])
})

it('an oversized username or password cannot sign in', async () => {
  const tries = [
    { username: million, password: 'a-good-password' },
    { username: me.username, password: million },
  ]
  for (const attempt of tries) expect(await checkPassword(connections, attempt)).toBeUndefined()
  expect(await migrateUser(connections, million, 'a-good-password')).toBeUndefined()
  expect(await admitUser(connections, million)).toBeUndefined()
})

it('a token with an oversized username is rejected', async () => {
  const long = await issuer.token({ username: costly(2_000) })
  expect((await call('GET', `/user/${me.id}`, { token: long })).status).toBe(403)
})
