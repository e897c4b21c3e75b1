// Runs the Node server or one of its commands as a separate process.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, inject } from 'vitest'
import { serverBundle } from '../../tools/server-bundle.mjs'
import { atEnd } from './cleanup.ts'
import { freePort } from './port.ts'
import { until } from './wait.ts'

export type Run = {
  process: ChildProcess
  output(): string
  exit: Promise<number | null>
  url: string
  port: number
}

const entry = serverBundle()

/** Creates a folder for `.data` that only its owner may enter, like a checkout under /root. */
export async function privateFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'user-directory-server-'))
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  atEnd(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export async function run(
  cwd: string,
  env: Record<string, string> = {},
  script = entry,
  ...options: string[]
): Promise<Run> {
  const port = Number(env.PORT ?? (await freePort()))
  const child = spawn(process.execPath, [script, ...options], {
    cwd,
    env: {
      PATH: process.env.PATH ?? '',
      PORT: String(port),
      // A command from the sources then takes a quarter less processor time to start.
      NODE_COMPILE_CACHE: join(inject('sharedFolder'), 'compile-cache'),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk))
  const exit = new Promise<number | null>((done) => child.once('exit', done))
  atEnd(async () => {
    if (child.exitCode === null) child.kill('SIGTERM')
    await exit
  })
  return { process: child, output: () => output, exit, url: `http://127.0.0.1:${port}`, port }
}

export async function started(server: Run): Promise<string> {
  await until(
    'the server to start',
    () => {
      if (server.process.exitCode !== null) throw new Error(`the server stopped:\n${server.output()}`)
      return server.output().includes('"message":"started"')
    },
    60_000,
  )
  return /^TOKEN=(\S+)$/m.exec(server.output())?.[1] ?? ''
}
