// login of a machine client, with client credentials (RFC 6749, section 4.4).

import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { atEnd } from '../../test/support/cleanup.ts'
import { startService, uniqueName } from '../../test/support/service.ts'
import { openShell, type Shell } from './command.ts'

const service = await startService()
const secret = 'a secret: with+signs'
const issuer = await startProvider()

/** A provider with one client, whose tokens the service accepts. */
async function startProvider(): Promise<string> {
  const server = createServer((request, response) => {
    const reply = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    const answer = async () => {
      if (request.method === 'GET') return reply(200, { issuer: url, token_endpoint: `${url}/token` })
      const form = new URLSearchParams(await text(request))
      // RFC 6749, section 2.3.1: both parts are form-encoded.
      const [, basic = ''] = (request.headers.authorization ?? '').split(' ')
      const [id, given] =
        [...new URLSearchParams(Buffer.from(basic, 'base64').toString().replace(':', '='))][0] ?? []
      if (id !== 'test-client' || given !== secret) return reply(401, { error: 'invalid_client' })
      const access_token = await service.issuer.machineToken(form.get('scope') ?? '')
      return reply(200, { access_token, token_type: 'Bearer', expires_in: 3_600 })
    }
    answer().catch(() => response.destroy())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  atEnd(
    () =>
      new Promise((done) => {
        server.close(done)
        server.closeAllConnections()
      }),
  )
  return url
}

const login = (shell: Shell, given: string) =>
  shell.start(
    [
      ...['login', '--server', service.url, '--issuer', issuer],
      ...['--client-id', 'test-client', '--scope', 'users/write'],
    ],
    { env: { USER_DIRECTORY_CLIENT_SECRET: given } },
  ).ended

it('a machine client signs in with its secret, and gets a new token while it has the secret', async () => {
  const shell = await openShell()
  const { code, stderr } = await login(shell, secret)
  expect([code, stderr]).toEqual([0, `Signed in to ${service.url} as test-client.\n`])
  expect((await shell.json('whoami'))[0]).toMatchObject({ name: 'test-client', scopes: ['users/write'] })

  const path = join(shell.config, 'user-directory/credentials.json')
  const file = await readFile(path, 'utf8')
  expect(file).not.toContain(secret)
  await writeFile(path, file.replace(/"expires_at": \d+/, '"expires_at": 0'))
  expect(await shell.run('whoami')).toMatchObject({ code: 3, stderr: expect.stringContaining('has ended') })
  const create = ['users', 'create', '--username', uniqueName(), '--no-password']
  const created = await shell.start(create, { env: { USER_DIRECTORY_CLIENT_SECRET: secret } }).ended
  expect(created).toMatchObject({ code: 0 })
})

it('a wrong secret is refused, and not printed', async () => {
  const shell = await openShell()
  const { code, stderr } = await login(shell, 'a-wrong-secret')
  expect([code, stderr]).toEqual([3, expect.stringContaining('invalid_client')])
  expect(stderr).not.toContain('a-wrong-secret')
})
