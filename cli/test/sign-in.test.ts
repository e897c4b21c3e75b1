// login, logout and whoami, with the local issuer.
import { once } from 'node:events'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startLocalServer } from '../../test/support/local-issuer.ts'
import { startService, uniqueName } from '../../test/support/service.ts'
import { addressOf, openShell, type Shell, signIn } from './command.ts'

const service = await startService()
const server = await startLocalServer(service)
const pathOf = ({ config }: Shell) => join(config, 'user-directory/credentials.json')
const stored = async (shell: Shell) => JSON.parse(await readFile(pathOf(shell), 'utf8'))

async function loggedIn(form: Record<string, string>) {
  const shell = await openShell()
  const login = shell.start(['login', '--server', server, '--no-browser'])
  const page = await signIn(login, form)
  return { shell, page, ...(await login.ended) }
}

it('the sample administrator signs in, and further commands use the server and the token', async () => {
  const { shell, page, code, stdout, stderr } = await loggedIn({ action: 'administrator' })
  expect([page.status, code, stdout]).toEqual([200, 0, ''])
  expect(stderr).toContain(`Signed in to ${server} as admin.`)
  const [me] = await shell.json('whoami')
  expect(me).toMatchObject({ server, name: 'admin', groups: ['admins'] })
  expect(await shell.run('users', 'list')).toMatchObject({ code: 0 })
})

it('a user signs in with a password, and may not list users', async () => {
  const { username } = await service.makeUser({ username: uniqueName('ada') })
  const { shell, code } = await loggedIn({ action: 'sign-in', username, password: 'a-good-password' })
  expect(code).toBe(0)
  expect((await shell.json('whoami'))[0]).toMatchObject({ name: username, groups: [] })
  expect(await shell.run('users', 'list')).toMatchObject({ code: 3 })
})

it('only the owner can read the stored tokens, and no command prints them', async () => {
  const { shell, stderr } = await loggedIn({ action: 'administrator' })
  expect((await stat(pathOf(shell))).mode & 0o777).toBe(0o600)
  expect((await stat(join(shell.config, 'user-directory'))).mode & 0o777).toBe(0o700)
  const { access_token, refresh_token } = (await stored(shell)).servers[server]
  const whoami = await shell.run('whoami')
  for (const secret of [access_token, refresh_token])
    for (const printed of [stderr, whoami.stdout, whoami.stderr]) expect(printed).not.toContain(secret)
})

it('an expiring token is refreshed, also by commands that run side by side', async () => {
  const { shell } = await loggedIn({ action: 'administrator' })
  const file = await stored(shell)
  const { access_token } = file.servers[server]
  file.servers[server].expires_at = 0
  await writeFile(pathOf(shell), JSON.stringify(file))
  const results = await Promise.all([1, 2, 3].map(() => shell.run('users', 'list')))
  expect(results.map(({ code }) => code)).toEqual([0, 0, 0])
  expect((await stored(shell)).servers[server].access_token).not.toBe(access_token)
  expect(await shell.run('users', 'list')).toMatchObject({ code: 0 })
})

it('after a block the refresh is refused, and the command says how to sign in', async () => {
  const { id, username } = await service.makeUser()
  const { shell } = await loggedIn({ action: 'sign-in', username, password: 'a-good-password' })
  await service.call('PATCH', `/user/${id}`, { json: { status: 'BLOCKED' } })
  const file = await stored(shell)
  file.servers[server].expires_at = 0
  await writeFile(pathOf(shell), JSON.stringify(file))
  const { code, stderr } = await shell.run('whoami')
  expect([code, stderr]).toEqual([
    3,
    `The sign-in to ${server} has ended. Sign in: user-directory login --server ${server}\n`,
  ])
})

it('logout forgets the sign-in', async () => {
  const { shell } = await loggedIn({ action: 'administrator' })
  expect(await shell.run('logout')).toMatchObject({ code: 0 })
  expect(await stored(shell)).toEqual({ servers: {} })
  expect(await shell.run('whoami', '--server', server)).toMatchObject({ code: 3 })
})

it('a cancelled sign-in is refused, and a stopped one ends at once', async () => {
  const { code, stderr } = await loggedIn({ action: 'cancel' })
  expect([code, stderr]).toEqual([3, expect.stringContaining('access_denied')])
  const shell = await openShell()
  const login = shell.start(['login', '--server', server, '--no-browser'])
  await addressOf(login)
  login.interrupt()
  expect(await login.ended).toMatchObject({ code: 130 })
})

it('a redirect with another state signs no one in', async () => {
  const shell = await openShell()
  const login = shell.start(['login', '--server', server, '--no-browser'])
  const redirect = new URL(await addressOf(login)).searchParams.get('redirect_uri')
  await fetch(`${redirect}?code=stolen&state=other`)
  expect(await login.ended).toMatchObject({ code: 1 })
})

it('a connection that the browser leaves open does not keep the command running', async () => {
  const shell = await openShell()
  const login = shell.start(['login', '--server', server, '--no-browser'])
  const redirect = new URL(new URL(await addressOf(login)).searchParams.get('redirect_uri') ?? '')
  const socket = connect(Number(redirect.port), redirect.hostname)
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  await signIn(login, { action: 'administrator' })
  expect(await login.ended).toMatchObject({ code: 0 })
})

it('a token from the environment needs no sign-in', async () => {
  const shell = await openShell({
    USER_DIRECTORY_SERVER: service.url,
    USER_DIRECTORY_TOKEN: service.tokens.reader,
  })
  expect((await shell.json('whoami'))[0]).toMatchObject({ groups: ['readers'] })
})

it('a damaged file is reported by its path', async () => {
  const shell = await openShell()
  await mkdir(join(shell.config, 'user-directory'))
  await writeFile(pathOf(shell), '{')
  expect(await shell.run('whoami')).toMatchObject({ code: 1, stderr: expect.stringContaining('is damaged') })
})

it.each([
  ['an address that is none', ['whoami', '--server', 'nonsense'], 2],
  ['an address with a password', ['whoami', '--server', 'https://a:b@example.com'], 2],
  ['http to another machine', ['whoami', '--server', 'http://directory.example.com'], 2],
  ['no issuer for another machine', ['login', '--server', 'https://directory.example.com'], 2],
  ['a redirect to another machine', ['login', '--redirect-uri', 'https://example.com/callback'], 2],
  ['no sign-in', ['whoami', '--server', 'http://127.0.0.1:9'], 3],
  ['a server that is not there', ['login', '--server', 'http://127.0.0.1:9'], 7],
])('%s ends with its own exit code', async (_what, words, code) => {
  const shell = await openShell()
  expect(await shell.run(...words)).toMatchObject({ code, stdout: '' })
})
