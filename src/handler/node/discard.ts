// Discards the rest of a body whose request has been answered. Closing at once would reset the connection, and the
// client might never read its answer. All connections together discard slowly, so that no caller can keep the event
// loop busy by sending bodies that are rejected.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ignoreMalformed, onMalformed } from './malformed-request.ts'

// Beyond these limits a client is disconnected.
const discardMsMax = 2_000
const discardBytesMax = 64 * 1024 * 1024
// One read of at most 64 KB for each, 64 MB a second in all, which takes some 5 % of the event loop.
const readEveryMs = 1

/** The connections that discard, in the order of their next reads. */
const discarding = new Set<IncomingMessage>()
let reading: NodeJS.Timeout | undefined

function readNext(): void {
  const [next] = discarding
  if (next) {
    discarding.delete(next)
    discarding.add(next)
    next.resume()
    return
  }
  clearInterval(reading)
  reading = undefined
}

/** Call it before the answer is sent; the discarding begins afterwards. */
export function discardRest(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { complete, headers } = incoming
  if (complete || (headers['content-length'] ?? headers['transfer-encoding']) === undefined) return
  // Node discards a body that has not been read at all, at full speed.
  incoming.pause().read(0)
  outgoing.once('finish', () => discardSlowly(incoming))
}

function discardSlowly(incoming: IncomingMessage): void {
  if (incoming.destroyed) return
  if (incoming.complete) {
    // All of it has arrived, so this reads nothing more.
    incoming.resume()
    return
  }
  let length = 0
  const { socket } = incoming
  const disconnect = (): void => {
    stop()
    socket.destroySoon()
  }
  const take = (chunk: Buffer): void => {
    incoming.pause()
    length += chunk.length
    if (length > discardBytesMax) disconnect()
  }
  const stop = (): void => {
    clearTimeout(timer)
    discarding.delete(incoming)
    ignoreMalformed(socket)
    incoming.off('data', take).off('end', stop).off('error', stop).off('close', stop)
  }
  const timer = setTimeout(disconnect, discardMsMax)
  onMalformed(socket, disconnect)
  // A listener for data makes the stream flow, which `pause` prevents.
  incoming.pause().on('data', take).on('end', stop).on('error', stop).on('close', stop)
  discarding.add(incoming)
  reading ??= setInterval(readNext, readEveryMs).unref()
}
