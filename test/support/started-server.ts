// Starts a server's process from the bundle.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { serverBundle } from '../../tools/server-bundle.mjs'
import { freePort } from './port.ts'
import { until } from './wait.ts'

export type Server = {
  url: string
  port: number
  pid: number | undefined
  kill(): Promise<void>
  stop(): Promise<void>
}

type Options = { port?: number | undefined; onLogLine?: (line: string) => void }

/** Starts a server process and waits until it answers. */
export async function startServer(
  cwd: string,
  env: Record<string, string>,
  { port: given, onLogLine }: Options = {},
): Promise<Server> {
  const port = given ?? (await freePort())
  const child = spawn(process.execPath, [serverBundle()], {
    cwd,
    env: { ...env, PORT: String(port) },
    stdio: ['ignore', onLogLine ? 'pipe' : 'ignore', 'inherit'],
  })
  if (child.stdout && onLogLine) createInterface({ input: child.stdout }).on('line', onLogLine)
  const exited = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  await until(
    'a server to start',
    () => {
      if (child.exitCode !== null) throw new Error(`the server stopped with ${child.exitCode}`)
      return fetch(`${url}/health`).then(
        ({ ok }) => ok,
        () => false,
      )
    },
    30_000,
  )
  const end = (signal: NodeJS.Signals) => async () => {
    child.kill(signal)
    await exited
  }
  return { url, port, pid: child.pid, kill: end('SIGKILL'), stop: end('SIGTERM') }
}
