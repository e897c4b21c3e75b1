// Finds and signals the cluster's server by the process id that PostgreSQL writes into its data folder.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { codeOf } from './error-code.ts'

const run = promisify(execFile)

export function pidPath(data: string): string {
  return join(data, 'postmaster.pid')
}

/** PostgreSQL writes its process id into the first line and its port into the fourth. */
export async function readPidFile(
  data: string,
): Promise<{ pid: number; port: number | undefined } | undefined> {
  const text = await readFile(pidPath(data), 'utf8').catch(() => undefined)
  const [pid, , , port] = (text ?? '').split('\n')
  return Number(pid) ? { pid: Number(pid), port: Number(port) || undefined } : undefined
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // We may signal our own processes, but root may lack that right in a container.
    return codeOf(error) === 'EPERM' && process.geteuid?.() === 0
  }
}

/** Whether a process is alive and may be PostgreSQL. A zombie process is not. */
export async function isPostgres(pid: number): Promise<boolean> {
  const program = await readFile(`/proc/${pid}/cmdline`, 'utf8')
    .then((commandLine) => commandLine.split('\0')[0])
    // Not every system has /proc, and not every system has ps.
    .catch(async () => (await run('ps', ['-p', String(pid), '-o', 'comm='])).stdout)
    .catch(() => undefined)
  return program === undefined ? isAlive(pid) : basename(program.trim()).startsWith('postgres')
}

/** @returns false if the process no longer exists */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false
    throw error
  }
}
