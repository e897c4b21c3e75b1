// Reads a large body as it arrives. Only the part in transit is in memory. The limits are therefore the rate, the total
// time, and the number of uploads of one caller.
import type { IncomingMessage } from 'node:http'
import { ServiceError } from '../../model/errors.ts'
import { endedEarly, tooManyBodies } from './body.ts'
import { ignoreMalformed, onMalformed } from './malformed-request.ts'

/** 20 GB in this time need a megabyte a second. */
export const uploadMsMax = 6 * 3_600_000
// A client may fall behind 32 KB/s by ten seconds in all. The time in which the store is slower does not count.
const bytesPerMsMin = 32 * 1.024
const waitMsMax = 10_000
const uploadsMax = 32
const uploadsPerOwner = 4

const uploads = new Map<string, number>()
let running = 0

/** @throws ServiceError `invalid` if the body ends early or is malformed, `timed_out`, `overloaded` */
export async function* streamBody(incoming: IncomingMessage, owner: string): AsyncGenerator<Uint8Array> {
  const own = uploads.get(owner) ?? 0
  if (running >= uploadsMax || own >= uploadsPerOwner) throw tooManyBodies()
  uploads.set(owner, own + 1)
  running++
  try {
    yield* limited(incoming)
  } finally {
    running--
    const left = (uploads.get(owner) ?? 1) - 1
    if (left > 0) uploads.set(owner, left)
    else uploads.delete(owner)
  }
}

async function* limited(incoming: IncomingMessage): AsyncGenerator<Uint8Array> {
  const startedAt = performance.now()
  const parts: AsyncIterator<Uint8Array> = incoming.iterator({ destroyOnReturn: false })
  let bytes = 0
  let waitedMs = 0
  try {
    for (;;) {
      const waitFrom = performance.now()
      const left = Math.min(
        waitMsMax + bytes / bytesPerMsMin - waitedMs,
        startedAt + uploadMsMax - performance.now(),
      )
      const next = await within(incoming, parts.next(), left)
      if (next.done) return
      waitedMs += performance.now() - waitFrom
      bytes += next.value.length
      yield next.value
    }
  } finally {
    ignoreMalformed(incoming.socket)
    // Not awaited, because it waits for a part that may never come.
    void Promise.resolve(parts.return?.()).catch(() => {})
  }
}

function within<T>(incoming: IncomingMessage, part: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(tooSlow()), Math.max(0, ms))
    const settle = (act: () => void): void => {
      clearTimeout(timer)
      act()
    }
    onMalformed(incoming.socket, (error) => settle(() => reject(error)))
    part.then(
      (value) => settle(() => resolve(value)),
      () => settle(() => reject(endedEarly())),
    )
  })
}

function tooSlow(): ServiceError {
  return new ServiceError(
    'timed_out',
    `The body arrived too slowly. Send at least 32 KB a second, and all of it within ${uploadMsMax / 3_600_000} hours.`,
  )
}
