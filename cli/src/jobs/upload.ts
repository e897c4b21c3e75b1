// Sends a file with a progress bar, and anew from its beginning if the connection is lost.
import { setTimeout as pause } from 'node:timers/promises'
import type { CommandContext } from '../context.ts'
import { exitCodeOf, exitCodes } from '../exit-codes.ts'
import { openProgress } from '../output/progress.ts'

type Upload = { label: string; size: number; open: () => ReadableStream<Uint8Array> }
type Send = (
  stream: ReadableStream<Uint8Array>,
  options: { size: number; signal: AbortSignal },
) => Promise<void>

const attemptsMax = 5
const pauseMs = 2_000

export async function sendAnew(
  { output, signal }: CommandContext,
  { label, size, open }: Upload,
  send: Send,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const progress = openProgress()
    const startedAt = performance.now()
    let sent = 0
    const meter = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        sent += chunk.length
        const rate = sent / Math.max(1, performance.now() - startedAt)
        const details = [`${megabytes(sent)} of ${megabytes(size)} MB`, `${megabytes(rate * 1_000)} MB/s`]
        progress.show({ label, share: size === 0 ? 1 : Math.min(1, sent / size), details })
        controller.enqueue(chunk)
      },
    })
    try {
      await send(open().pipeThrough(meter), { size, signal })
      return
    } catch (error) {
      signal.throwIfAborted()
      if (exitCodeOf(error) !== exitCodes.unreachable || attempt >= attemptsMax) throw error
      output.note(`${(error as Error).message} The file is sent anew.`)
    } finally {
      progress.end()
    }
    await pause(pauseMs, undefined, { signal })
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1)
}
