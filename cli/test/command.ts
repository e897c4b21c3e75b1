// Runs the command as it is packed: as a process of its own, with a home of its own.
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { atEnd } from '../../test/support/cleanup.ts'
import { builtOnce } from '../../test/support/once.ts'
import { until } from '../../test/support/wait.ts'
import { buildCommand } from '../tools/build.ts'

export type Result = { code: number | null; stdout: string; stderr: string }

export type Running = {
  /** The messages so far. */
  stderr(): string
  interrupt(): void
  ended: Promise<Result>
}

export type Shell = {
  /** The folder of the settings. */
  config: string
  /** A folder for the PATH with the command `user-directory`. */
  bin: string
  start(words: string[], options?: RunOptions): Running
  run(...words: string[]): Promise<Result>
  /** Runs a command with `--json`. @returns its values */
  json<T = Record<string, unknown>>(...words: string[]): Promise<T[]>
}

type RunOptions = { env?: Record<string, string>; input?: string }

async function build(folder: string): Promise<void> {
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  await buildCommand(folder)
  const script = `#!/bin/sh\nexec '${process.execPath}' "$(dirname "$0")/user-directory.js" "$@"\n`
  await writeFile(join(folder, 'user-directory'), script, { mode: 0o755 })
}

/** @param env for every command, such as the server and a token */
export async function openShell(env: Record<string, string> = {}): Promise<Shell> {
  const bin = await builtOnce('command', build)
  const config = await mkdtemp(join(tmpdir(), 'user-directory-cli-'))
  atEnd(() => rm(config, { recursive: true, force: true }))

  const start: Shell['start'] = (words, options = {}) => {
    const { PATH = '' } = process.env
    const child = spawn(process.execPath, [join(bin, 'user-directory.js'), ...words], {
      env: { PATH, XDG_CONFIG_HOME: config, ...env, ...options.env },
      timeout: 60_000,
    })
    child.stdin.end(options.input ?? '')
    // The command may end before it has read its input.
    child.stdin.on('error', () => {})
    let messages = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      messages += chunk
    })
    const ended = Promise.all([
      text(child.stdout),
      new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code))),
    ]).then(([stdout, code]) => ({ code, stdout, stderr: messages }))
    return { stderr: () => messages, interrupt: () => void child.kill('SIGINT'), ended }
  }
  const run: Shell['run'] = (...words) => start(words).ended
  return {
    config,
    bin,
    start,
    run,
    json: async <T>(...words: string[]) => {
      const { code, stdout, stderr } = await run('--json', ...words)
      if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}: ${stderr}`)
      return stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as T)
    },
  }
}

/** Waits for the address that `login` shows. */
export function addressOf(login: Running): Promise<string> {
  return until('the address', () => /^http\S+$/m.exec(login.stderr())?.[0])
}

/** Signs in at the address that `login` shows, as a browser would. */
export async function signIn(login: Running, form: Record<string, string>): Promise<Response> {
  return fetch(await addressOf(login), { method: 'POST', body: new URLSearchParams(form) })
}
