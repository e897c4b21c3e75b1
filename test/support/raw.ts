// Sends requests that `fetch` cannot send: paths that are not normalised, bodies with a wrong length or without an end.
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'

export type RawAnswer = {
  status: number
  headers: IncomingMessage['headers']
  text: string
  sentBytes: number
}

export type RawRequest = {
  method?: string
  path: string
  headers?: Record<string, string>
  /** Sent completely, unless the answer comes first. */
  body?: Uint8Array | string
  /** Sends chunks of 64 KiB until the answer comes or `bytesMax` have been accepted. */
  endless?: { bytesMax: number }
}

export function sendRaw(
  base: string,
  { method = 'GET', path, headers = {}, body, endless }: RawRequest,
): Promise<RawAnswer> {
  const { hostname, port } = new URL(base)
  return new Promise((resolve, reject) => {
    let sentBytes = 0
    let answered = false
    const outgoing = request(
      { hostname, port, method, path, headers, agent: new Agent({ keepAlive: true }) },
      (incoming) => {
        answered = true
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        const done = () => {
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text: Buffer.concat(chunks).toString(),
            sentBytes,
          })
          outgoing.destroy()
        }
        incoming.on('end', done)
        incoming.on('error', done)
      },
    )
    // Writing may fail when the server closes the connection, although its answer can be read.
    outgoing.on('error', (error) => answered || reject(error))
    if (endless)
      pump(
        outgoing,
        endless.bytesMax,
        () => answered,
        (bytes) => (sentBytes += bytes),
      )
    else outgoing.end(body)
  })
}

function pump(
  outgoing: ClientRequest,
  bytesMax: number,
  isAnswered: () => boolean,
  sent: (bytes: number) => number,
): void {
  const chunk = Buffer.alloc(64 * 1024, ' ')
  const next = (): void => {
    while (!isAnswered() && sent(chunk.length) < bytesMax)
      if (!outgoing.write(chunk)) return void outgoing.once('drain', next)
    if (!isAnswered()) outgoing.end()
  }
  next()
}

export type LateRequest = {
  /** Sends the last byte. @returns the answer */
  finish(): Promise<RawAnswer>
}

/** Sends a request without the last byte of its body, and resolves when the rest has been written. */
export async function sendLate(
  base: string,
  { method, path, headers = {}, body }: Omit<RawRequest, 'endless'> & { body: Uint8Array | string },
): Promise<LateRequest> {
  const { hostname, port } = new URL(base)
  const bytes = Buffer.from(body)
  const outgoing = request({
    hostname,
    port,
    method,
    path,
    headers: { ...headers, 'content-length': String(bytes.length) },
    agent: new Agent(),
  })
  const answer = new Promise<RawAnswer>((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      let text = ''
      incoming.on('data', (chunk: Buffer) => (text += chunk))
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          text,
          sentBytes: bytes.length,
        }),
      )
    })
  })
  // Only `finish` awaits it, and it may fail earlier.
  answer.catch(() => {})
  await new Promise<void>((written) => outgoing.write(bytes.subarray(0, -1), () => written()))
  return {
    finish: () => {
      outgoing.end(bytes.subarray(-1))
      return answer
    },
  }
}

/**
 * Writes text in Latin-1, and reads until the connection closes.
 * @param half closes the connection after writing
 */
export function exchangeRaw(base: string, text: string, half = false): Promise<string> {
  const { hostname, port } = new URL(base)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    let answer = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => (answer += chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
    socket.write(text, 'latin1', () => half && socket.destroy())
  })
}
