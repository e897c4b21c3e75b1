// Decodes images in processes of their own, so that a decoder can be stopped when its time or memory is over, and
// one that crashes takes nothing with it. A process starts on first use and ends when it was idle for a while.
import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { overloaded, ServiceError } from '../../model/errors.ts'
import type { ProcessAnswer } from './image-process.ts'

// In a bundle this module is part of a chunk, in a folder of its own.
const isBundled = extname(import.meta.url) === '.js'
const program = fileURLToPath(
  new URL(isBundled ? '../services/avatars/image-process.js' : './image-process.ts', import.meta.url),
)
/** Variables that the process gets: where libraries and temporary files are. Nothing secret is among them. */
const environmentNames = ['LD_LIBRARY_PATH', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot']

/** Of processor time. Photos take 0.1 s; the most costly files of 40 megapixels that encoders write take 2 to 6 s. */
const cpuMsMax = 5_000
/** Reached before `cpuMsMax` only where the machine has other work: then the image is not to blame. */
const wallMsMax = 10_000
/** The most that a file of 40 megapixels takes is 1.1 GB. */
const residentBytesMax = 1.5 * 1024 ** 3
const watchMs = 50
const idleMsMax = 30_000

/** Processes that wait for an image, each with the timer that ends it. */
const idle = new Map<ChildProcess, NodeJS.Timeout>()

/** `ended`: the process is gone, and nothing here has stopped it. `starved`: the machine was too busy for it. */
type Outcome = ProcessAnswer | { kind: 'ended'; cause: string } | { kind: 'starved' }

/**
 * @returns the avatar's bytes, WebP within 512 × 512 pixels
 * @throws ServiceError `undecodable`, also for an image that takes too long or too much memory or crashes its decoder.
 *   `overloaded` when the machine is too busy to decode it. Error when no process can be started
 */
export async function decodeImage(image: Uint8Array): Promise<Uint8Array> {
  const waiting = takeIdle()
  let outcome = waiting && (await decodeIn(waiting, image))
  // A process that had waited may have ended for another reason than this image, so it gets a second one.
  if (!outcome || outcome.kind === 'ended') outcome = await decodeIn(await start(), image)
  if (outcome.kind === 'avatar') return outcome.bytes
  if (outcome.kind === 'starved') throw overloaded()
  throw undecodable(outcome.kind === 'ready' ? undefined : outcome)
}

export function undecodable({ message, cause }: { message?: string; cause?: string } = {}): ServiceError {
  return new ServiceError('undecodable', message ?? 'The image is broken or cannot be decoded.', {
    ...(cause !== undefined && { cause: new Error(cause) }),
  })
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

/** Sends the image, if there is one, and waits for the answer. Only meanwhile does the child keep this process alive. */
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
    // The end of the process tells of a failure to send.
    if (image) child.send(image, () => {})
  })
}

/**
 * @param stop is called when the child has used up what one image may use
 * @returns ends the watch
 */
function watch(child: ChildProcess, stop: (outcome: Outcome) => void): () => void {
  const cpuMsBefore = usageOf(child)?.cpuMs
  const tooLong: Outcome = {
    kind: 'refused',
    message: 'The image takes too long to decode. Scale it down.',
    cause: 'stopped for its time',
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

/** Processor time so far, and memory now. Undefined where the system does not say: only Linux does. */
function usageOf({ pid }: ChildProcess): { cpuMs: number; bytes: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // proc_pid_stat(5), fields 14 and 15, in hundredths of a second; the second field may hold anything.
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
