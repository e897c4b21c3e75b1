// Sign-ins of imported users, over HTTP, for every kind of hash that a source may have. They renew the hash.
import { pbkdf2Sync } from 'node:crypto'
import { expect, it } from 'vitest'
import { openProcessAttemptThrottle } from '../../../src/connection/attempts/attempt-throttle.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { prepareImport, readJob } from '../../support/import.ts'
import { startLocalServer } from '../../support/local-issuer.ts'
import { foreignHashes, foreignPassword } from '../../support/password-hashes.ts'
import { startService, uniqueName } from '../../support/service.ts'
import {
  auth0File,
  auth0Files,
  clerkFile,
  firebaseCsv,
  firebaseFile,
  keycloakFile,
  oldKeycloakFile,
  ownCsv,
  ownFile,
  type SourceFile,
  supabaseFile,
} from '../../support/source-files.ts'

const service = await startService()
const ownUrl = await startLocalServer(service)
// One address may try twenty passwords before it has to wait, so the other systems' users have a throttle of their own.
const connections = { ...service.connections, attempts: openProcessAttemptThrottle() }
const otherUrl = await startLocalServer({ ...service, connections })

const djangoSalt = 'a_salt_of_text'
const djangoDigest = pbkdf2Sync(foreignPassword, djangoSalt, 1_000, 32, 'sha256')
const django = `$pbkdf2-sha256$i=1000$${phc(Buffer.from(djangoSalt))}$${phc(djangoDigest)}`

const all = foreignHashes.map(([, hash]) => hash)
const starting = (...kinds: string[]) => all.filter((hash) => kinds.some((kind) => hash.startsWith(kind)))
const [argon2id, argon2i, ...otherArgon2] = [
  '$argon2id$v=19$m=7168',
  '$argon2i$v=19',
  '$argon2d$v=19',
  '$argon2i$v=16',
] as const
const [firebase, bcryptA, bcryptB] = ['$firebase-scrypt$', '$2a$', '$2b$']

it.each([
  ['our NDJSON', ownFile, all],
  ['our CSV', ownCsv, starting(bcryptB)],
  [
    'Keycloak',
    keycloakFile,
    starting(argon2id, argon2i, ...otherArgon2, '$pbkdf2-sha1$i=20', '$pbkdf2-sha512$i=', bcryptA),
  ],
  ['Keycloak before version 8', oldKeycloakFile, starting('$pbkdf2-sha256$i=1500,l=64')],
  ['Auth0, with hashes in the lines', auth0File, starting(bcryptB)],
  ['Auth0, with hashes in a second file', auth0Files, starting(bcryptA)],
  ['Firebase’s JSON', firebaseFile, starting(firebase)],
  ['Firebase’s CSV', firebaseCsv, starting(firebase)],
  ['Clerk', clerkFile, [...starting(bcryptA, argon2id, argon2i, firebase, '$pbkdf2-sha256$i=1500$'), django]],
  ['Supabase', supabaseFile, starting(bcryptA)],
])('users from %s sign in with their password of before, and with no other', async (_, write, hashes) => {
  const url = write === ownFile || write === ownCsv ? ownUrl : otherUrl
  expect(hashes.length).toBeGreaterThan(0)
  const users = hashes.map((hash) => ({ username: uniqueName(), hash }))
  await importFile(write(users))
  const imported = await Promise.all(users.map(({ username }) => accountOf(username)))

  const refused = await Promise.all(
    imported.map(({ username }) => signIn(url, username, `${foreignPassword}!`)),
  )
  expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 400))
  for (const account of imported) {
    const { id, username } = account
    expect(await accountOf(username), 'a refused attempt changes nothing').toEqual(account)
    const { status, token } = await signIn(url, username, foreignPassword)
    expect({ ...account, status }).toEqual({ ...account, status: 200 })
    const answer = await fetch(`${url}/user/${id}`, { headers: { authorization: `Bearer ${token}` } })
    expect(await answer.json()).toMatchObject({ id, username, version: 1 })

    const renewed = await accountOf(username)
    expect(renewed.hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(await signIn(url, username, foreignPassword)).toMatchObject({ status: 200 })
    expect(await accountOf(username)).toEqual(renewed)
  }
})

async function importFile({ format, options, file, hashes }: SourceFile): Promise<void> {
  const { id } = await prepareImport(service, Buffer.from(file), { format, ...(options && { options }) })
  if (hashes !== undefined)
    expect((await service.call('PUT', `/import/${id}/hashes`, { body: Buffer.from(hashes) })).status).toBe(
      200,
    )
  await service.call('POST', `/import/${id}/start`)
  await runNextJob(service.connections, new AbortController().signal)
  expect(await readJob(service, id)).toMatchObject({ state: 'done', refused: 0 })
}

type Account = { id: string; username: string; hash: string | null }

/** @param name the username, or the beginning of the e-mail address that has become it */
async function accountOf(name: string): Promise<Account> {
  const [row] = await service.connections.db.query((queries) =>
    queries.unprepared<Account>(
      'SELECT id, username, password_hash AS hash FROM users WHERE username IN ($1, $2)',
      [name, `${name}@example.com`],
    ),
  )
  if (!row) throw new Error(`no user ${name}`)
  return row
}

async function signIn(url: string, username: string, password: string) {
  const body = new URLSearchParams({ grant_type: 'password', username, password })
  const answer = await fetch(`${url}/local-issuer/oauth2/token`, { method: 'POST', body })
  const { access_token: token = '' } = (await answer.json()) as { access_token?: string }
  return { status: answer.status, token }
}

function phc(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
