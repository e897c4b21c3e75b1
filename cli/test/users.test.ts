// users list, get, create, update, block, unblock and erase.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { png } from '../../test/support/picture.ts'
import { startService, uniqueName } from '../../test/support/service.ts'
import { openShell } from './command.ts'

const service = await startService()
const shell = await openShell({
  USER_DIRECTORY_SERVER: service.url,
  USER_DIRECTORY_TOKEN: service.tokens.admin,
})

it('creates a user with fields, a password from stdin and an avatar', async () => {
  const username = uniqueName('ada')
  const image = join(shell.config, 'ada.png')
  await writeFile(image, await png())
  const { code, stdout, stderr } = await shell.start(
    [
      ...['--json', 'users', 'create', '--username', username, '--name', 'Ada', '--avatar', image],
      ...['--password-stdin', '--contact', 'email=ada@example.com', '--contact', 'PHONE=+44 1'],
      ...['--attribute', 'department=Engines', '--attribute', 'floor=3', '--attribute', 'room="12"'],
    ],
    { input: 'a-good-password\n' },
  ).ended
  expect([code, stderr]).toEqual([0, ''])
  expect(JSON.parse(stdout)).toMatchObject({
    username,
    name: 'Ada',
    avatar: expect.stringContaining('avatars/'),
    contacts: [
      { contact_type: 'EMAIL', value: 'ada@example.com' },
      { contact_type: 'PHONE', value: '+44 1' },
    ],
    attributes: { department: 'Engines', floor: 3, room: '12' },
  })
})

it('updates fields, clears one with an empty text, and keeps a version', async () => {
  const { username } = await service.makeUser({ name: 'Ada', attributes: { floor: 3, team: 'a' } })
  const changes = ['--name', '', '--external-id', username, '--attribute', 'floor=']
  const [changed] = await shell.json('users', 'update', username, ...changes)
  expect(changed).toMatchObject({ name: null, external_id: username, attributes: { team: 'a' }, version: 2 })
  const conflict = await shell.run('users', 'update', username, '--name', 'B', '--if-version', '1')
  expect(conflict.code).toBe(5)
  expect(await shell.run('users', 'update', username)).toMatchObject({ code: 2 })
})

it('reads the fields from a file or from stdin', async () => {
  const username = uniqueName()
  const input = JSON.stringify({ username, name: 'From stdin', password: null })
  const created = await shell.start(['users', 'create', '--file', '-'], { input }).ended
  expect([created.code, created.stdout]).toEqual([0, expect.stringContaining('From stdin')])
  const wrong = await shell.start(['users', 'create', '--file', '-'], { input: '[]' }).ended
  expect(wrong.code).toBe(2)
})

it('blocks, unblocks and erases by id and by username', async () => {
  const [first, second] = [await service.makeUser(), await service.makeUser()]
  const both = [first.id, second.username]
  const statuses = async () =>
    (await shell.json('users', 'list', '--search', 'user')).map(({ status }) => status)
  expect(await shell.run('users', 'block', ...both)).toMatchObject({ code: 0 })
  expect(await statuses()).toEqual(expect.arrayContaining(['BLOCKED', 'BLOCKED']))
  expect(await shell.run('users', 'unblock', ...both)).toMatchObject({ code: 0 })
  expect(await shell.run('users', 'erase', ...both)).toMatchObject({ code: 2 })
  expect((await shell.json('users', 'get', first.id))[0]).toMatchObject({ status: 'ACTIVE' })
  expect(await shell.run('users', 'erase', ...both, uniqueName(), '--yes')).toMatchObject({ code: 4 })
  expect(await shell.run('users', 'erase', ...both, '--yes')).toMatchObject({ code: 0 })
  for (const each of both) expect(await shell.run('users', 'get', each)).toMatchObject({ code: 4 })
})

it('lists as many users as asked, over pages, as a table and as JSON', async () => {
  const prefix = uniqueName('list')
  for (let at = 0; at < 3; at++) await service.makeUser({ username: `${prefix}.${at}`, name: '美羽' })
  const words = ['users', 'list', '--search', prefix, '--sort', 'username']
  expect((await shell.json(...words)).map(({ username }) => username)).toEqual(
    [0, 1, 2].map((at) => `${prefix}.${at}`),
  )
  const two = await shell.run(...words, '--limit', '2')
  expect(two.stdout.trim().split('\n')).toHaveLength(3)
  expect([two.stdout, two.stderr]).toEqual([
    expect.stringMatching(/^ID +USERNAME +NAME +STATUS/),
    'There are more. Use --limit or --all.\n',
  ])
  expect(await shell.run(...words, '--status', 'NONE')).toMatchObject({ code: 2 })
})

it('a problem lists every fault, and a conflict has its own code', async () => {
  const { username } = await service.makeUser()
  const wrong = await shell.run('users', 'create', '--username', '', '--no-password', '--contact', 'NONE=x')
  expect(wrong.code).toBe(1)
  expect(wrong.stderr).toContain('/username')
  expect(wrong.stderr).toContain('/contacts/0/contact_type')
  expect(await shell.run('users', 'create', '--username', username, '--no-password')).toMatchObject({
    code: 5,
  })
})

it('control characters of the data reach the terminal only as escapes', async () => {
  const name = 'A\u009b31m\u202eB'
  const { id } = await service.makeUser({ name })
  for (const words of [
    ['users', 'get', id],
    ['--json', 'users', 'get', id],
    ['users', 'list', '--limit', '200'],
  ]) {
    const { stdout } = await shell.run(...words)
    expect(stdout).toContain('A\\u009b31m\\u202eB')
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202a-\u202e]/u)
  }
  expect((await shell.json('users', 'get', id))[0]).toMatchObject({ name })
})

it('a server that cannot be reached has its own exit code', async () => {
  const lost = await shell.start(['users', 'get', 'ada'], {
    env: { USER_DIRECTORY_SERVER: 'http://127.0.0.1:9' },
  }).ended
  expect(lost).toMatchObject({ code: 7, stderr: 'http://127.0.0.1:9 cannot be reached.\n' })
})
