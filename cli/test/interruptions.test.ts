// Ctrl-C, repeated commands, outages and full disks, at each stage of imports and exports.
import { readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Job } from '../../client/src/index.ts'
import { runNextJob } from '../../src/services/jobs/run.ts'
import { type GatewayFault, startFaultyGateway } from '../../test/support/faulty-gateway.ts'
import { startService, uniqueName } from '../../test/support/service.ts'
import { until } from '../../test/support/wait.ts'
import { openShell, type Running } from './command.ts'

// No server runs the jobs by itself, so that each test decides when they run.
const service = await startService()
const shell = await openShell({
  USER_DIRECTORY_SERVER: service.url,
  USER_DIRECTORY_TOKEN: service.tokens.admin,
})
const runJobs = async () => {
  while (await runNextJob(service.connections, new AbortController().signal));
}

async function store(users: object[]): Promise<string> {
  const path = join(shell.config, `${uniqueName()}.ndjson`)
  await writeFile(path, users.map((user) => `${JSON.stringify(user)}\n`).join(''))
  return path
}
const state = async (id: string) => (await shell.json<Job>('jobs', 'get', id))[0]?.state

/** Starts a command behind a gateway with these faults, and waits until it has sent a request. */
async function startBehind(
  words: string[],
  { faults, request }: { faults: GatewayFault[]; request: string },
) {
  const gateway = await startFaultyGateway(service.url)
  gateway.faults.push(...faults)
  const command = shell.start(words, { env: { USER_DIRECTORY_SERVER: gateway.url } })
  await until(request, () => gateway.requests.find((each) => each.endsWith(request)), 30_000)
  return command
}

/** @returns the id in the hint of a command that was stopped */
async function stop(command: Running, hint: RegExp): Promise<string> {
  command.interrupt()
  const { code, stderr } = await command.ended
  expect([code, stderr]).toEqual([130, expect.stringMatching(hint)])
  return hint.exec(stderr)?.[1] ?? ''
}

it.each([
  ['the upload', ['pass', 'hang'], '/file'],
  ['the start', ['pass', 'pass', 'hang'], '/start'],
] as [string, GatewayFault[], string][])(
  'an import stopped during %s imports nothing, and the same command starts it anew',
  async (_stage, faults, request) => {
    const file = await store([{ username: uniqueName() }])
    const command = await startBehind(['import', file], { faults, request })
    await stop(command, /nothing was imported. The same command starts it anew/)
    const [cancelled] = await shell.json<Job>('jobs', 'list')
    expect(cancelled).toMatchObject({ kind: 'import', state: 'cancelled' })

    const importing = shell.start(['import', file])
    const id = await until('the start', () => /^Import (\S+)/m.exec(importing.stderr())?.[1], 30_000)
    expect(id).not.toBe(cancelled?.id)
    await runJobs()
    expect(await importing.ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^created +1$/m) })
  },
)

it('an import whose start is answered too late says what was imported', async () => {
  const file = await store([{ username: uniqueName() }])
  const gateway = await startFaultyGateway(service.url)
  gateway.faults.push('pass', 'pass', 'hang')
  const command = shell.start(['import', file], { env: { USER_DIRECTORY_SERVER: gateway.url } })
  const start = await until(
    'the start',
    () => gateway.requests.find((each) => each.endsWith('/start')),
    30_000,
  )
  const path = start.split(' ')[1] ?? ''
  await service.call('POST', path)
  await runJobs()
  const id = path.split('/')[2] ?? ''
  command.interrupt()
  const { code, stderr } = await command.ended
  expect([code, stderr]).toEqual([
    130,
    expect.stringMatching(`Import ${id} is done at row 1. .*jobs undo ${id}`),
  ])
})

it('after Ctrl-C the import goes on, and the command says how to attach again', async () => {
  const file = await store(Array.from({ length: 1_000 }, () => ({ username: uniqueName() })))
  const importing = shell.start(['import', file])
  await until('the progress', () => importing.stderr().includes('Waiting'), 30_000)
  const id = await stop(importing, /Attach again: user-directory jobs watch (\S+)\./)
  const watching = shell.start(['jobs', 'watch', id])
  await until('the progress', () => watching.stderr().includes('Waiting'), 30_000)
  await runJobs()
  expect(await watching.ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^created +1,000$/m) })
  expect(await shell.run('jobs', 'cancel', id, '--yes')).toMatchObject({ code: 0 })
})

it('an undo stopped on its way goes on, and the same command attaches again', async () => {
  const file = await store([{ username: uniqueName() }])
  const [job] = await shell.json<Job>('import', file, '--detach')
  await runJobs()
  const words = ['jobs', 'undo', job?.id ?? '', '--yes']
  const undoing = shell.start(words)
  await until('the progress', () => undoing.stderr().includes('Waiting'), 30_000)
  const undo = await stop(undoing, /goes on in the service. Attach again: user-directory jobs watch (\S+)\./)
  const again = shell.start(words)
  await until('the progress', () => again.stderr().includes('Waiting'), 30_000)
  await runJobs()
  expect(await again.ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^erased +1$/m) })
  expect(await state(undo)).toBe('done')
  // Also after its end.
  expect(await shell.run(...words)).toMatchObject({ code: 0 })
})

it('an export stopped while it waits, or during the download, is resumed', async () => {
  const { username } = await service.makeUser()
  const file = join(shell.config, 'resumed.csv')
  const exporting = shell.start(['export', file, '--username', username])
  await until('the progress', () => exporting.stderr().includes('Waiting'), 30_000)
  const id = await stop(exporting, /Attach again: user-directory export FILE --resume (\S+)\./)
  await runJobs()
  const resume = ['export', file, '--resume', id]
  const downloading = await startBehind(resume, { faults: ['pass', 'hang'], request: '/file' })
  expect(await stop(downloading, /not stored completely. Get it again .* --resume (\S+)/)).toBe(id)
  expect(await shell.run(...resume)).toMatchObject({ code: 0 })
  expect(await readFile(file, 'utf8')).toContain(username)
  expect(await shell.run(...resume, '--status', 'ACTIVE')).toMatchObject({ code: 2 })
  expect(await shell.run('jobs', 'watch', id)).toMatchObject({
    code: 0,
    stderr: expect.stringContaining(`export FILE --resume ${id}`),
  })
})

it('the same import twice creates its users once, one after the other or at once', async () => {
  const file = await store(Array.from({ length: 50 }, () => ({ username: uniqueName() })))
  const detached = () => shell.json<Job>('import', file, '--detach')
  const [[one], [other]] = await Promise.all([detached(), detached()])
  await runJobs()
  const [third] = await detached()
  await runJobs()
  const jobs = await Promise.all(
    [one, other, third].map((job) => shell.json<Job>('jobs', 'get', job?.id ?? '')),
  )
  const counts = jobs.map(([job]) => [job?.created, job?.skipped])
  expect(counts.slice(0, 2).sort()).toEqual([
    [0, 50],
    [50, 0],
  ])
  expect(counts[2]).toEqual([0, 50])
})

it('an import waits for a server that restarts meanwhile', async () => {
  const file = await store([{ username: uniqueName() }])
  const gateway = await startFaultyGateway(service.url)
  const importing = shell.start(['import', file], { env: { USER_DIRECTORY_SERVER: gateway.url } })
  await until('the progress', () => importing.stderr().includes('Waiting:'), 30_000)
  // More than the client's own attempts.
  gateway.faults.push(...Array.from({ length: 6 }, (): GatewayFault => 'cut before'))
  await until('the outage', () => importing.stderr().includes('Waiting for the service'), 30_000)
  await runJobs()
  const { code, stderr } = await importing.ended
  expect([code, stderr.match(/Waiting for the service/g)]).toEqual([0, ['Waiting for the service']])
})

it('a full disk does not hide the result, and leaves no part of the refused rows', async () => {
  const file = await store([{ username: uniqueName() }, { username: 'no spaces' }])
  const reasons = file.replace('.ndjson', '.refused.txt')
  await symlink('/dev/full', reasons)
  const importing = shell.start(['import', file])
  const id = await until('the start', () => /^Import (\S+)/m.exec(importing.stderr())?.[1], 30_000)
  await runJobs()
  const { code, stdout, stderr } = await importing.ended
  expect([code, stdout]).toEqual([1, expect.stringMatching(/^refused +1$/m)])
  expect(stderr).toContain('no space left')
  expect(stderr).toContain(`jobs errors ${id} --file FILE`)
  expect(await shell.run('jobs', 'errors', id, '--file', file)).toMatchObject({ code: 0 })
  expect(await readFile(reasons, 'utf8')).toMatch(/^line 2 /)
})
