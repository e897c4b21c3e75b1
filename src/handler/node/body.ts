// Reads a body from its connection, limited by size, the caller's memory share and time. A slow client would occupy
// memory, and would act with permissions that were checked long before.
import type { IncomingMessage } from 'node:http'
import { invalid, ServiceError } from '../../model/errors.ts'
import type { Reservation } from './body-memory.ts'
import { largeBytesMin } from './large-body-queue.ts'
import { onMalformed } from './malformed-request.ts'

// 32 KB/s, the rate of a poor mobile connection. A 5 MB image needs 83 KB/s to arrive within the minute.
const windowMs = 10_000
const bytesPerWindowMin = 320 * 1024
const bodyMsMax = 60_000

/**
 * @param options.reservation includes the Content-Length already; a chunked body extends it as it arrives
 * @param options.waitForTurn called when a chunked body turns out to be large; rejects with a ServiceError
 * @returns undefined as soon as the body exceeds `bytesMax`, without reading the rest
 * @throws ServiceError `invalid` if the body ends early or is malformed, `timed_out`, `overloaded`
 */
export function readBody(
  incoming: IncomingMessage,
  bytesMax: number,
  { reservation, waitForTurn }: { reservation: Reservation; waitForTurn: () => Promise<void> },
): Promise<Buffer<ArrayBuffer> | undefined> {
  return new Promise((resolve, reject) => {
    const isReserved = incoming.headers['content-length'] !== undefined
    const chunks: Buffer[] = []
    let length = 0
    let isLarge = false
    const stop = (): void => {
      clearInterval(watch)
      incoming.off('data', take).off('end', end).off('error', fail).off('close', fail)
    }
    const abort = (error: ServiceError): void => {
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
      } else if (isReserved) chunks.push(chunk)
      else if (reservation.extend(chunk.length)) {
        chunks.push(chunk)
        pauseIfLarge()
      } else abort(tooManyBodies())
    }
    const pauseIfLarge = (): void => {
      if (isLarge || length < largeBytesMin) return
      isLarge = true
      incoming.pause()
      waitForTurn().then(() => incoming.resume(), abort)
    }
    const end = (): void => {
      stop()
      resolve(Buffer.concat(chunks, length))
    }
    const fail = (): void => {
      stop()
      reject(endedEarly())
    }
    let lengthBefore = 0
    let leftMs = bodyMsMax
    const watch = setInterval(() => {
      leftMs -= windowMs
      if (length - lengthBefore < bytesPerWindowMin || leftMs <= 0) abort(tooSlow())
      lengthBefore = length
    }, windowMs)
    onMalformed(incoming.socket, abort)
    if (incoming.destroyed) fail()
    else incoming.on('data', take).on('end', end).on('error', fail).on('close', fail)
  })
}

export function endedEarly(): ServiceError {
  return invalid({ pointer: '', message: 'ended early; send as many bytes as Content-Length says' })
}

export function tooManyBodies(): ServiceError {
  return new ServiceError(
    'overloaded',
    'Your requests in flight hold too many bytes. Send fewer at once, and retry this one later.',
    { retryAfterSeconds: 2 },
  )
}

function tooSlow(): ServiceError {
  return new ServiceError(
    'timed_out',
    `The body arrived too slowly. Send at least 32 KB a second, and all of it within ${bodyMsMax / 1_000} seconds.`,
  )
}
