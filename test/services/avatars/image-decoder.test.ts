// The processes that decode images: what ends them, what they know, and that one caller's image delays no other's.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { toAvatar } from '../../../src/services/avatars/encode.ts'
import { jpegOfManyScans, png } from '../../support/picture.ts'
import { until } from '../../support/wait.ts'

// Ten seconds of processor time, in 90 KB.
const slow = jpegOfManyScans(200, 8_000, 5_000).subarray(0, -2)
const picture = await png()

/** The decoders that this process, or another one, has started, and the memory that each has. */
function decoderProcesses(parent: number = process.pid): { pid: number; megabytes: number }[] {
  const columns = ['pid', 'ppid', 'stat', 'rss', 'args'].flatMap((name) => ['-o', `${name}=`])
  return execFileSync('ps', ['-A', '-ww', ...columns], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, ppid, state, , ...args]) => {
      const isZombie = state?.startsWith('Z')
      return Number(ppid) === parent && !isZombie && args.some((arg) => arg.includes('image-process'))
    })
    .map(([pid, , , kilobytes]) => ({ pid: Number(pid), megabytes: Number(kilobytes) / 1_024 }))
}
const decoders = (parent?: number) => decoderProcesses(parent).map(({ pid }) => pid)

function isAlive(pid: number): boolean {
  const state = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim()
  return state !== '' && !state.startsWith('Z')
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'taken',
    (error: unknown) => (error as { code?: string }).code,
  )

/** Ends all decoders, so that the next image starts the first. */
async function endAll(): Promise<void> {
  for (const pid of decoders()) process.kill(pid, 'SIGKILL')
  await until('the decoders to end', () => decoders().length === 0)
}

beforeAll(endAll)
afterEach(endAll)

const decoderOf = (parent?: number) => until('a decoder', () => decoders(parent)[0])

/** A decoder that has decoded more than a small image. */
const atWork = async (parent?: number) =>
  (await until('a decoder at work', () => decoderProcesses(parent).find(({ megabytes }) => megabytes > 120)))
    .pid

describe('a decoder', () => {
  test('starts with the first image, is reused, and gets no secret from the environment', async () => {
    expect(decoders()).toEqual([])
    vi.stubEnv('SECRET_OF_THE_TEST', 'secret')
    onTestFinished(() => void vi.unstubAllEnvs())
    await toAvatar(picture, 'a')
    const [pid, ...more] = decoders()
    expect(more).toEqual([])
    for (const caller of ['a', 'b']) await toAvatar(picture, caller)
    expect(decoders()).toEqual([pid])
    if (process.platform === 'linux') {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean)
      const known = /^(LD_LIBRARY_PATH|TMPDIR|TEMP|TMP|NODE_CHANNEL_FD|NODE_CHANNEL_SERIALIZATION_MODE)=/
      expect(environment.filter((line) => !known.test(line))).toEqual([])
      // The first to go when memory runs out.
      expect(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim()).toBe('1000')
    }
  })

  test('ends after half a minute of idling', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    await toAvatar(picture, 'a')
    const pid = await decoderOf()
    vi.advanceTimersByTime(29_000)
    await toAvatar(picture, 'a')
    expect(decoders()).toEqual([pid])
    vi.advanceTimersByTime(30_000)
    vi.useRealTimers()
    await until('it to end', () => !isAlive(pid))
    await toAvatar(picture, 'a')
  })

  test('is killed if an image takes too long, and the next image gets another one', async () => {
    const started = performance.now()
    const refused = toAvatar(slow, 'a')
    const pid = await decoderOf()
    // On a machine that has other work the time is over before the processor time is.
    expect(await codeOf(refused)).toBeOneOf(['undecodable', 'overloaded'])
    expect(performance.now() - started).toBeLessThan(15_000)
    expect(isAlive(pid)).toBe(false)
    await toAvatar(picture, 'a')
  })

  test('is killed if it does not answer, and the image is not rejected as undecodable', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    await toAvatar(picture, 'a')
    const pid = await decoderOf()
    process.kill(pid, 'SIGSTOP')
    const refused = codeOf(toAvatar(picture, 'a'))
    await until('it to be asked', () => vi.getTimerCount() > 0)
    vi.advanceTimersByTime(10_000)
    vi.useRealTimers()
    expect(await refused).toBe('overloaded')
    expect(isAlive(pid)).toBe(false)
    await toAvatar(picture, 'a')
  })

  test('that ended while idle fails no image', async () => {
    await toAvatar(picture, 'a')
    process.kill(await decoderOf(), 'SIGKILL')
    await toAvatar(picture, 'a')
  })

  test('that crashes is replaced once, and fails only the image that crashes it', async () => {
    await toAvatar(picture, 'a')
    const refused = codeOf(toAvatar(slow, 'a'))
    const first = await atWork()
    process.kill(first, 'SIGKILL')
    await until('it to end', () => !isAlive(first))
    process.kill(await atWork(), 'SIGKILL')
    expect(await refused).toBe('undecodable')
    await toAvatar(picture, 'a')
  })

  test('ignores signals to its process group', async () => {
    await toAvatar(picture, 'a')
    const pid = await decoderOf()
    for (const signal of ['SIGINT', 'SIGTERM']) process.kill(pid, signal)
    await toAvatar(picture, 'a')
    expect(decoders()).toEqual([pid])
  })
})

describe('a server', () => {
  async function start(image: Uint8Array) {
    const folder = await mkdtemp(join(tmpdir(), 'image-decoder-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await writeFile(join(folder, 'image'), image)
    const code = `const { toAvatar } = await import(${JSON.stringify(resolve('src/services/avatars/encode.ts'))})
      await toAvatar(process.getBuiltinModule('fs').readFileSync('image'), 'a')`
    const server = spawn(process.execPath, ['-e', code], { cwd: folder, stdio: 'ignore' })
    const ended = new Promise<number | null>((done) => server.once('exit', done))
    onTestFinished(async () => {
      server.kill('SIGKILL')
      await ended
    })
    return { server, ended }
  }

  test('that is killed ends its busy decoder', async () => {
    const { server } = await start(slow)
    const pid = await atWork(server.pid)
    server.kill('SIGKILL')
    await until('the decoder to end', () => !isAlive(pid), 2_000)
  })

  test('without other work exits with its idle decoder', async () => {
    const { server, ended } = await start(picture)
    const pid = await decoderOf(server.pid)
    expect(await ended).toBe(0)
    await until('the decoder to end', () => !isAlive(pid), 2_000)
  })
})

test('one caller uses one decoder at most, and slow images of one delay no image of another', async () => {
  let refused = 0
  const slowOnes = [1, 2, 3].map(() => codeOf(toAvatar(slow, 'attacker')).then(() => refused++))
  const pid = await decoderOf()
  expect(decoders()).toEqual([pid])
  for (let turn = 0; turn < 5; turn++) await toAvatar(picture, `caller ${turn}`)
  expect(refused).toBe(0)
  expect(decoders()).toHaveLength(2)
  await until('all of the slow ones to be refused', () => {
    for (const pid of decoders()) process.kill(pid, 'SIGKILL')
    return refused === 3
  })
  await Promise.all(slowOnes)
})
