// Reads a body from its connection: within its size, its holder's share of the memory, and a time. A sender that is
// too slow would hold all three, and a caller's rights from when it began.
import type { IncomingMessage } from 'node:http'
import { invalid, ServiceError } from '../../model/errors.ts'
import type { Reservation } from './body-memory.ts'
import { onMalformed } from './malformed-request.ts'

// 32 KB/s, which a poor mobile connection has; an image of 5 MB takes a minute at 83 KB/s.
const windowMs = 10_000
const bytesPerWindowMin = 320 * 1024
export const bodyMsMax = 60_000

/**
 * @param reservation holds the Content-Length already; a chunked body extends it as it comes
 * @returns undefined as soon as there are more than `bytesMax` bytes; what is still to come is not read
 * @throws ServiceError `invalid` when it breaks off or is malformed, `timed_out`, `overloaded`
 */
export function readBody(
  incoming: IncomingMessage,
  bytesMax: number,
  reservation: Reservation,
): Promise<Buffer<ArrayBuffer> | undefined> {
  return new Promise((resolve, reject) => {
    const isReserved = incoming.headers['content-length'] !== undefined
    const chunks: Buffer[] = []
    let length = 0
    const stop = (): void => {
      clearInterval(watch)
      incoming.off('data', take).off('end', end).off('error', fail).off('close', fail)
    }
    const refuse = (error: ServiceError): void => {
      stop()
      incoming.pause()
      reject(error)
    }
    const take = (chunk: Buffer): void => {
      length += chunk.length
      if (length > bytesMax) {
        stop()
        incoming.pause()
        resolve(undefined)
      } else if (isReserved || reservation.extend(chunk.length)) chunks.push(chunk)
      else refuse(tooManyBodies())
    }
    const end = (): void => {
      stop()
      resolve(Buffer.concat(chunks, length))
    }
    const fail = (): void => {
      stop()
      reject(invalid({ pointer: '', message: 'ended before it was whole' }))
    }
    let lengthBefore = 0
    let leftMs = bodyMsMax
    const watch = setInterval(() => {
      leftMs -= windowMs
      if (length - lengthBefore < bytesPerWindowMin || leftMs <= 0) refuse(tooSlow())
      lengthBefore = length
    }, windowMs)
    onMalformed(incoming.socket, refuse)
    if (incoming.destroyed) fail()
    else incoming.on('data', take).on('end', end).on('error', fail).on('close', fail)
  })
}

export function tooManyBodies(): ServiceError {
  return new ServiceError(
    'overloaded',
    'Your requests under way hold too many bytes. Send fewer at once, and repeat this one shortly.',
    { retryAfterSeconds: 2 },
  )
}

function tooSlow(): ServiceError {
  return new ServiceError(
    'timed_out',
    `The body came too slowly. Send at least 32 KB a second, and all of it within ${bodyMsMax / 1_000} seconds.`,
  )
}
