// Node's own HTTP messages as the app's requests and replies.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { invalid, overloaded } from '../model/errors.ts'
import type { HttpRequest, Reply } from './endpoint.ts'

// The bodies that are here, of all requests under way. Parsed, one takes some times as much for a moment; the largest that
// are taken have 8 MB.
const heldBytesMax = 128 * 1024 * 1024
let heldBytes = 0

export class NodeRequest implements HttpRequest {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly source: string | undefined
  readonly #incoming: IncomingMessage
  #heldBytes = 0

  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming
    this.method = incoming.method ?? ''
    this.source = incoming.socket.remoteAddress
    const target = targetOf(incoming.url ?? '')
    const end = target.indexOf('?')
    this.path = end === -1 ? target : target.slice(0, end)
    this.query = end === -1 ? '' : target.slice(end + 1)
  }

  header(name: string): string | undefined {
    const value = this.#incoming.headers[name]
    return typeof value === 'string' ? value : undefined
  }

  body(bytesMax: number): Promise<Buffer<ArrayBuffer> | undefined> {
    const incoming = this.#incoming
    return new Promise((resolve, reject) => {
      if (Number(incoming.headers['content-length'] ?? 0) > bytesMax) {
        resolve(undefined)
        return
      }
      const chunks: Buffer[] = []
      let length = 0
      const stop = (): void => {
        incoming.off('data', take).off('end', end).off('error', fail).off('close', fail)
      }
      const take = (chunk: Buffer): void => {
        length += chunk.length
        chunks.push(chunk)
        this.#heldBytes += chunk.length
        heldBytes += chunk.length
        if (length <= bytesMax && heldBytes <= heldBytesMax) return
        // What is still to come is not read before the answer has been sent; see `sendReply`.
        stop()
        incoming.pause()
        if (length > bytesMax) resolve(undefined)
        else reject(overloaded())
      }
      const end = (): void => {
        stop()
        resolve(Buffer.concat(chunks, length))
      }
      const fail = (): void => {
        stop()
        reject(invalid({ pointer: '', message: 'ended before it was whole' }))
      }
      if (incoming.destroyed) fail()
      else incoming.on('data', take).on('end', end).on('error', fail).on('close', fail)
    })
  }

  /** The request has been answered, and its body is needed no more. */
  release(): void {
    heldBytes -= this.#heldBytes
    this.#heldBytes = 0
  }
}

/** RFC 9112, section 3.2.2: a request may name the whole URL. */
function targetOf(url: string): string {
  if (url.startsWith('/')) return url
  const [, target = ''] = /^https?:\/\/[^/?#]*(.*)$/is.exec(url) ?? []
  return target
}

/** @param isLast the connection is closed after this answer */
export function sendReply(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status = 200, headers, body = '' }: Reply,
  isLast: boolean,
): void {
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  const list: string[] = []
  for (const name in headers) list.push(name, headers[name] ?? '')
  if (status !== 204 && status !== 304) list.push('Content-Length', String(length))
  if (isLast) list.push('Connection', 'close')
  if (!incoming.complete) outgoing.once('finish', () => discardRest(incoming))
  outgoing.writeHead(status, list)
  // Text goes out in one piece with the headers. Latin-1 has a character for every byte: none is changed.
  if (typeof body === 'string') outgoing.end(body)
  else if (body.length <= textBytesMax) outgoing.end(latin1(body), 'latin1')
  else outgoing.end(body)
}

const textBytesMax = 16 * 1024

function latin1({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1')
}

// Time for a client to read its answer while it is still sending; longer, or more than this, and it is cut off.
const discardMsMax = 500
const discardBytesMax = 64 * 1024 * 1024

/** Closing at once would reset the connection, and the client might never see its answer. */
function discardRest(incoming: IncomingMessage): void {
  if (incoming.complete || incoming.destroyed) return
  let length = 0
  const cut = (): void => {
    stop()
    incoming.socket.destroySoon()
  }
  const take = (chunk: Buffer): void => {
    length += chunk.length
    if (length > discardBytesMax) cut()
  }
  const stop = (): void => {
    clearTimeout(timer)
    incoming.off('data', take).off('end', stop).off('error', stop).off('close', stop)
  }
  const timer = setTimeout(cut, discardMsMax)
  incoming.on('data', take).on('end', stop).on('error', stop).on('close', stop)
  incoming.resume()
}
