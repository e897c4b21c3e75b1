// import, export and jobs.
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, it } from 'vitest'
import type { Job } from '../../client/src/index.ts'
import { startFaultyGateway } from '../../test/support/faulty-gateway.ts'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { startService, uniqueName } from '../../test/support/service.ts'
import { until } from '../../test/support/wait.ts'
import { openShell } from './command.ts'

const service = await startService()
startJobRunner(service)
const env = { USER_DIRECTORY_SERVER: service.url, USER_DIRECTORY_TOKEN: service.tokens.admin }
const shell = await openShell(env)

const lines = (users: object[]) => users.map((user) => `${JSON.stringify(user)}\n`).join('')
/** @returns the path of a new file in the shell's folder */
async function store(text: string | Uint8Array, extension = 'ndjson') {
  const path = join(shell.config, `${uniqueName()}.${extension}`)
  await writeFile(path, text)
  return path
}
const usernames = async (search: string) =>
  (await shell.json('users', 'list', '--search', search, '--sort', 'username')).map(
    ({ username }) => username,
  )

it('a dry run changes nothing, the import creates the users, and undo erases them', async () => {
  const team = uniqueName('team')
  const file = await store(lines([{ username: `${team}.a` }, { username: `${team}.b` }]))
  const dry = await shell.run('import', file, '--dry-run')
  expect(dry).toMatchObject({ code: 0, stdout: expect.stringMatching(/^created +2$/m) })
  expect(dry.stderr).toContain('nothing was changed')
  expect(await usernames(team)).toEqual([])

  const [job] = await shell.json<Job>('import', file)
  expect(job).toMatchObject({ state: 'done', created: 2, refused: 0 })
  expect(await usernames(team)).toEqual([`${team}.a`, `${team}.b`])

  const id = job?.id ?? ''
  expect(await shell.run('jobs', 'undo', id)).toMatchObject({ code: 2 })
  expect(await shell.run('jobs', 'undo', id, '--yes')).toMatchObject({ code: 0 })
  expect(await usernames(team)).toEqual([])
  const listed = await shell.json<Job>('jobs', 'list')
  expect(listed.map(({ kind }) => kind).slice(0, 3)).toEqual(['undo', 'import', 'import'])
})

it('refused rows come back as a file that can be corrected and imported again', async () => {
  const team = uniqueName('team')
  const good = JSON.stringify({ username: `${team}.good` })
  const bad = JSON.stringify({ username: `${team}.bad`, status: 'NONE' })
  const file = await store(gzipSync(`${good}\n${bad}\n`), 'ndjson.gz')
  const { code, stderr } = await shell.run('import', file, '--format', 'ndjson')
  const [rows, reasons] = ['.refused.ndjson', '.refused.txt'].map((end) => file.replace('.ndjson.gz', end))
  expect([code, stderr]).toEqual([6, expect.stringContaining(rows ?? '')])
  expect(await readFile(rows ?? '', 'utf8')).toBe(`${bad}\n`)
  expect(await readFile(reasons ?? '', 'utf8')).toMatch(/^line 2 {2}\/status must be/)
  expect((await stat(rows ?? '')).mode & 0o777).toBe(0o600)

  await writeFile(rows ?? '', bad.replace('NONE', 'ACTIVE'))
  expect(await shell.run('import', rows ?? '')).toMatchObject({ code: 0 })
  expect(await usernames(team)).toEqual([`${team}.bad`, `${team}.good`])
})

it('jobs errors shows the reasons, and writes the files later', async () => {
  const file = await store('username,name\n,A\n"","B\nC"\n', 'csv')
  const [job] = await shell.json<Job>('import', file, '--detach')
  const id = job?.id ?? ''
  expect(await shell.run('jobs', 'watch', id)).toMatchObject({ code: 6 })
  const { stdout } = await shell.run('jobs', 'errors', id)
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(/^line 2 {2}\/username/),
    expect.stringMatching(/^line 3/),
    '',
  ])
  expect(await shell.json('jobs', 'errors', id)).toHaveLength(2)
  const [files] = await shell.json<{ rows: string }>('jobs', 'errors', id, '--file', file)
  expect(await readFile(files?.rows ?? '', 'utf8')).toBe('username,name\n,A\n"","B\nC"\n')
})

it('a file whose upload was cut is sent anew', async () => {
  const team = uniqueName('team')
  const file = await store(lines([{ username: team }]))
  const gateway = await startFaultyGateway(service.url)
  gateway.faults.push({ status: 429, headers: { 'retry-after': '0' } })
  const importing = shell.start(['import', file], { env: { USER_DIRECTORY_SERVER: gateway.url } })
  await until('the creation', () => gateway.requests.filter((each) => each === 'POST /import').length === 2)
  gateway.faults.push('cut before')
  expect(await importing.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('sent anew') })
  expect(await usernames(team)).toEqual([team])
})

it('export and import are a round trip, as NDJSON, CSV and to stdout', async () => {
  const { username } = await service.makeUser({ name: '=1+1', attributes: { team: uniqueName() } })
  for (const format of ['ndjson', 'csv']) {
    const file = join(shell.config, `${uniqueName()}.${format}`)
    expect(await shell.run('export', file, '--username', username, '--include-hashes')).toMatchObject({
      code: 0,
    })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readFile(file, 'utf8')).toContain('$argon2id$')
    expect((await shell.json<Job>('import', file, '--dry-run', '--on-conflict', 'update'))[0]).toMatchObject({
      refused: 0,
      rows_read: 1,
    })
  }
  const { code, stdout } = await shell.run('export', '-', '--username', username)
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { username }])
  expect(stdout).not.toContain('argon2')
})

it('exports and lists select by attribute', async () => {
  const team = uniqueName()
  const { username } = await service.makeUser({ attributes: { team } })
  await service.makeUser()
  const filter = ['--attribute', `team=${team}`]
  expect((await shell.json('users', 'list', ...filter)).map((user) => user.username)).toEqual([username])
  const { stdout } = await shell.run('export', '-', ...filter)
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).username),
  ).toEqual([username])
})

it('without --format the content tells the format, also of a compressed file', async () => {
  const exported = await store(await readFile('test/fixtures/import/supabase.csv'), 'csv')
  const { code, stderr } = await shell.run('import', exported, '--dry-run')
  expect([code, stderr]).toEqual([6, expect.stringMatching(/^Format: supabase$/m)])
  const zst = await store(zstdCompressSync(lines([{ username: uniqueName(), contacts: [] }])), 'zst')
  expect((await shell.run('import', zst, '--dry-run')).stderr).toMatch(/^Format: ndjson$/m)
  const mapped = await store('Login\nada\n', 'txt')
  const renamed = await shell.run('import', mapped, '--mapping', 'Login=username', '--dry-run')
  expect(renamed.stderr).toMatch(/^Format: csv$/m)
})

it.each([
  ['content of several formats', 'email,name\na@example.com,Ada\n', '--format csv|cognito|clerk|supabase.'],
  ['an empty file', '', '--format ndjson|csv|keycloak|auth0|firebase|cognito|clerk|supabase.'],
  ['a damaged gzip file', gzipSync('username\nada\n').subarray(0, 15), 'is damaged or cut off'],
])('%s is an error that lists what is possible', async (_what, content, message) => {
  const { code, stderr } = await shell.run('import', await store(content))
  expect([code, stderr]).toEqual([expect.any(Number), expect.stringContaining(message)])
  expect(code).toBeGreaterThan(0)
})

it.each([
  ['a file that is not there', ['import', '/none.csv'], 2],
  ['a folder', ['import', '/tmp', '--format', 'csv'], 2],
  ['content of no known format', ['import', '/etc/hostname'], 2],
  [
    'parameters that are no JSON',
    ['import', '/etc/hostname', '--format', 'firebase', '--parameters', '/etc/hostname'],
    2,
  ],
  ['a job that does not exist', ['jobs', 'get', '0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77'], 4],
])('%s ends with its own exit code', async (_what, words, code) => {
  expect(await shell.run(...words)).toMatchObject({ code, stdout: '' })
})

it('a file that is not of the format fails the import', async () => {
  const file = await store('{"users": [', 'json')
  const { code, stderr } = await shell.run('import', file, '--format', 'keycloak')
  expect([code, stderr]).toEqual([1, expect.stringContaining('The job failed')])
})
