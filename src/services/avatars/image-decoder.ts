// Decodes images in child processes, so that an image that takes too long, uses too much memory or crashes its decoder
// affects nothing else. A process starts on first use and ends after idling.
import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { overloaded, ServiceError } from '../../model/errors.ts'
import type { ProcessAnswer } from './image-process.ts'

// In a bundle this module is part of a chunk, in another folder than the program.
const isBundled = extname(import.meta.url) === '.js'
const program = fileURLToPath(
  new URL(isBundled ? '../services/avatars/image-process.js' : './image-process.ts', import.meta.url),
)
/** Environment variables that the process gets; none is secret. */
const environmentNames = ['LD_LIBRARY_PATH', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot']

/** Processor time. Photos take 0.1 s, and the most expensive files of 40 megapixels that encoders write 2 to 6 s. */
const cpuMsMax = 5_000
/** Reached before `cpuMsMax` only on a busy machine; then the image is not rejected as undecodable. */
const wallMsMax = 10_000
/** A file of 40 megapixels uses 1.1 GB at most. */
const residentBytesMax = 1.5 * 1024 ** 3
const watchMs = 50
const idleMsMax = 30_000

/** Idle processes, each with the timer that ends it. */
const idle = new Map<ChildProcess, NodeJS.Timeout>()

/** `ended`: the process exited on its own. `starved`: the machine was too busy. */
type Outcome = ProcessAnswer | { kind: 'ended'; cause: string } | { kind: 'starved' }

/**
 * @returns the avatar's bytes, WebP within 512 × 512 pixels
 * @throws ServiceError `undecodable` also if the image exceeds the limits of time or memory or crashes the decoder;
 *   `overloaded` if the machine is too busy. Error if no process can be started
 */
export async function decodeImage(image: Uint8Array): Promise<Uint8Array> {
  const reused = takeIdle()
  let outcome = reused && (await decodeIn(reused, image))
  // An idle process may have exited for another reason than this image, so retry once in a new process.
  if (!outcome || outcome.kind === 'ended') outcome = await decodeIn(await start(), image)
  if (outcome.kind === 'avatar') return outcome.bytes
  if (outcome.kind === 'starved') throw overloaded()
  throw undecodable(outcome.kind === 'ready' ? undefined : outcome)
}

export function undecodable({ message, cause }: { message?: string; cause?: string } = {}): ServiceError {
  return new ServiceError(
    'undecodable',
    message ?? 'The image is broken or cannot be decoded. Save it again as PNG or JPEG.',
    {
      ...(cause !== undefined && { cause: new Error(cause) }),
    },
  )
}

function takeIdle(): ChildProcess | undefined {
  const [child] = idle.keys()
  if (child) clearTimeout(idle.get(child))
  if (child) idle.delete(child)
  return child
}

async function decodeIn(child: ChildProcess, image: Uint8Array): Promise<Outcome> {
  const outcome = await exchange(child, image)
  if (!child.killed && child.connected) {
    const end = (): void => {
      idle.delete(child)
      child.disconnect()
    }
    idle.set(child, setTimeout(end, idleMsMax).unref())
  }
  return outcome
}

async function start(): Promise<ChildProcess> {
  const child = fork(program, {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    execArgv: [],
    env: Object.fromEntries(environmentNames.map((name) => [name, process.env[name]])),
  })
  child.on('error', () => {})
  child.once('exit', () => {
    clearTimeout(idle.get(child))
    idle.delete(child)
  })
  const outcome = await exchange(child)
  if (outcome.kind === 'ready') return child
  child.kill('SIGKILL')
  throw new Error('the image decoder cannot start', { cause: outcome })
}

/** Sends the image, if any, and waits for the answer. Only during the wait does the child keep this process alive. */
function exchange(child: ChildProcess, image?: Uint8Array): Promise<Outcome> {
  return new Promise((resolve) => {
    let stopped: Outcome | undefined
    const unwatch = watch(child, (outcome) => {
      stopped ??= outcome
      child.kill('SIGKILL')
    })
    const settle = (outcome: Outcome): void => {
      unwatch()
      child.off('message', settle).off('exit', ended).off('error', failed)
      child.unref()
      child.channel?.unref()
      resolve(outcome)
    }
    const ended = (code: number | null, signal: NodeJS.Signals | null): void =>
      settle(stopped ?? { kind: 'ended', cause: `the decoder ended with ${signal ?? code}` })
    const failed = (error: Error): void => settle({ kind: 'ended', cause: error.message })
    child.ref()
    child.channel?.ref()
    child.on('message', settle).on('exit', ended).on('error', failed)
    // A failure to send also ends the process, which is reported.
    if (image) child.send(image, () => {})
  })
}

/**
 * Watches the child's processor time and memory.
 * @param stop called when one of the limits for one image is exceeded
 * @returns a function that ends the watch
 */
function watch(child: ChildProcess, stop: (outcome: Outcome) => void): () => void {
  const cpuMsBefore = usageOf(child)?.cpuMs
  const tooLong: Outcome = {
    kind: 'refused',
    message: 'The image takes too long to decode. Scale it down.',
    cause: 'stopped at the time limit',
  }
  const timer = setTimeout(() => stop(cpuMsBefore === undefined ? tooLong : { kind: 'starved' }), wallMsMax)
  const interval = setInterval(() => {
    const { cpuMs = 0, bytes = 0 } = usageOf(child) ?? {}
    if (cpuMs - (cpuMsBefore ?? cpuMs) > cpuMsMax) stop(tooLong)
    if (bytes > residentBytesMax)
      stop({
        kind: 'refused',
        message: 'The image takes too much memory to decode. Scale it down.',
        cause: `stopped at ${bytes} bytes`,
      })
  }, watchMs)
  return () => {
    clearTimeout(timer)
    clearInterval(interval)
  }
}

/** @returns the processor time so far, and the current memory; undefined on other systems than Linux */
function usageOf({ pid }: ChildProcess): { cpuMs: number; bytes: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // proc_pid_stat(5), fields 14 and 15, in hundredths of a second. The second field may contain any character.
    const [user, system] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13)
    const [, kilobytes] = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? []
    return { cpuMs: (Number(user) + Number(system)) * 10, bytes: Number(kilobytes ?? 0) * 1_024 }
  } catch {
    return undefined
  }
}
