// Adapts Node's HTTP messages to the app's requests and replies.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline, Readable } from 'node:stream'
import { ServiceError } from '../../model/errors.ts'
import type { HttpRequest, Reply } from '../http/endpoint.ts'
import { readBody, tooManyBodies } from './body.ts'
import { type Reservation, reserve } from './body-memory.ts'
import { streamBody } from './body-stream.ts'
import { discardRest } from './discard.ts'
import type { HostedRequest } from './host.ts'
import { largeBytesMin, waitForLargeBody } from './large-body-queue.ts'
import { ignoreMalformed, onMalformed } from './malformed-request.ts'

export class NodeRequest implements HttpRequest, HostedRequest {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly source: string | undefined
  bodyOwner: string
  /** The connection cannot carry another request after this one. */
  isLast = false
  readonly #incoming: IncomingMessage
  #reservation: Reservation | undefined
  #endTurn: (() => void) | undefined
  #isReleased = false

  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming
    this.method = incoming.method ?? ''
    this.source = incoming.socket.remoteAddress
    this.bodyOwner = this.source ?? ''
    const target = targetOf(incoming.url ?? '')
    const end = target.indexOf('?')
    this.path = end === -1 ? target : target.slice(0, end)
    this.query = end === -1 ? '' : target.slice(end + 1)
  }

  header(name: string): string | undefined {
    const value = this.#incoming.headers[name]
    return typeof value === 'string' ? value : undefined
  }

  get httpVersion(): string {
    return this.#incoming.httpVersion
  }

  get host(): string | undefined {
    return this.#incoming.headers.host
  }

  get authority(): string | undefined {
    const { url = '' } = this.#incoming
    return url.startsWith('/') ? undefined : absoluteForm.exec(url)?.[1]
  }

  async body(bytesMax: number): Promise<Buffer<ArrayBuffer> | undefined> {
    const incoming = this.#incoming
    const declared = Number(incoming.headers['content-length'] ?? 0)
    if (declared > bytesMax) return undefined
    const waitForTurn = async (): Promise<void> => {
      const endTurn = await waitForLargeBody(this.bodyOwner, tooManyBodies)
      // The client may have disconnected during the wait.
      if (this.#isReleased) endTurn()
      else this.#endTurn = endTurn
    }
    if (declared >= largeBytesMin) await waitForTurn()
    this.#reservation = reserve(this.bodyOwner, declared)
    if (!this.#reservation) throw tooManyBodies()
    try {
      const bytes = await readBody(incoming, bytesMax, { reservation: this.#reservation, waitForTurn })
      onMalformed(incoming.socket, () => {
        this.isLast = true
      })
      return bytes
    } catch (error) {
      this.isLast = !(error instanceof ServiceError && error.code === 'overloaded')
      throw error
    }
  }

  async *stream(): AsyncGenerator<Uint8Array> {
    this.isLast = true
    yield* streamBody(this.#incoming, this.bodyOwner)
    this.isLast = false
  }

  /** Frees the body's memory after the request has been answered. */
  release(): void {
    this.#isReleased = true
    this.#endTurn?.()
    if (!this.#reservation) return
    this.#reservation.release()
    this.#reservation = undefined
    ignoreMalformed(this.#incoming.socket)
  }
}

// RFC 9112, section 3.2.2: the request target may be a whole URL.
const absoluteForm = /^https?:\/\/(?:[^/?#@]*@)?([^/?#]*)(.*)$/is

function targetOf(url: string): string {
  return url.startsWith('/') ? url : (absoluteForm.exec(url)?.[2] ?? '')
}

/** @param isLast closes the connection after this answer */
export function sendReply(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { reply: { status = 200, headers, cookies, body = '', file }, isLast }: { reply: Reply; isLast: boolean },
): void {
  const length = file ? file.bytes : typeof body === 'string' ? Buffer.byteLength(body) : body.length
  const list: string[] = []
  for (const name in headers) list.push(name, headers[name] ?? '')
  if (cookies) for (const cookie of cookies) list.push('Set-Cookie', cookie)
  if (status !== 204 && status !== 304) list.push('Content-Length', String(length))
  if (isLast) list.push('Connection', 'close')
  discardRest(incoming, outgoing)
  outgoing.writeHead(status, list)
  if (file) {
    sendFile(incoming, outgoing, file)
    return
  }
  // Node sends a string in one write with the headers. Latin-1 maps each byte to one character and back.
  if (typeof body === 'string') outgoing.end(body)
  else if (body.length <= textBytesMax) outgoing.end(latin1(body), 'latin1')
  else outgoing.end(body)
}

/** A file that cannot be read to its end breaks the connection, so that the client notices. */
function sendFile(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  file: NonNullable<Reply['file']>,
): void {
  if (incoming.method === 'HEAD') outgoing.end()
  else pipeline(Readable.from(file.read(), { objectMode: false }), outgoing, () => {})
}

const textBytesMax = 16 * 1024

function latin1({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1')
}
