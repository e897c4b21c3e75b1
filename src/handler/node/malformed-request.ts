// Answers requests that Node's HTTP parser rejects or that arrive too slowly: with a problem document, a log line and a
// closed connection.
import { type Server, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ServiceError } from '../../model/errors.ts'
import type { Logger } from '../../platform/logger.ts'
import { problemReply } from '../http/problem.ts'
import { readRequestId } from '../http/request-id.ts'
import { withCommonHeaders } from '../http/respond.ts'

export const headerBytesMax = 16 * 1024
// Lets a client that is still sending read its answer.
const lingerMs = 500

type ParserError = NodeJS.ErrnoException & { rawPacket?: Buffer }

const reading = new WeakMap<Duplex, (error: ServiceError) => void>()

/**
 * Registers a handler for the case that the rest of the connection's request is malformed or late. Without a handler,
 * a problem document is sent at once.
 */
export function onMalformed(connection: Duplex, handle: (error: ServiceError) => void): void {
  reading.set(connection, handle)
}

export function ignoreMalformed(connection: Duplex): void {
  reading.delete(connection)
}

export function answerMalformedRequests(server: Server, logger: Logger): void {
  const answered = new WeakSet<Duplex>()
  const reject = (connection: Duplex, error: ServiceError, reason: string): void => {
    answered.add(connection)
    const requestId = readRequestId(undefined)
    const { status = 500, headers, body = '' } = withCommonHeaders(problemReply(error, requestId), requestId)
    const lines = Object.entries({
      ...headers,
      Date: new Date().toUTCString(),
      'Content-Length': String(Buffer.byteLength(body)),
      Connection: 'close',
    }).map(([name, value]) => `${name}: ${value}\r\n`)
    connection.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body.toString()}`,
    )
    const timer = setTimeout(() => connection.destroy(), lingerMs)
    connection.once('close', () => clearTimeout(timer))
    logger.info('request', { request_id: requestId, route: 'none', status, reason })
  }

  server.on('clientError', (error: ParserError, connection: Socket) => {
    // Browsers and load balancers open connections in advance; this one never carried a request.
    if (connection.bytesRead === 0) return void connection.destroy()
    // Already gone, or closed after an answer that may still be in transit.
    if (!connection.writable || answered.has(connection)) return
    const problem = toServiceError(error)
    const handle = reading.get(connection)
    if (handle) handle(problem)
    else reject(connection, problem, error.code ?? '')
  })
  // Without a listener Node closes the connection without an answer.
  server.on('connect', (_incoming, connection: Duplex) => {
    connection.on('error', () => connection.destroy()).resume()
    reject(connection, methodUnknown(), 'CONNECT')
  })
}

/** https://github.com/nodejs/llhttp/blob/main/src/llhttp/constants.ts lists the codes. */
function toServiceError({ code, rawPacket }: ParserError): ServiceError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return isRequestLineTooLong(rawPacket)
        ? new ServiceError(
            'uri_too_long',
            'The URL and the headers must be at most 16 KB together. Shorten the URL.',
          )
        : new ServiceError(
            'headers_too_large',
            'The URL and the headers must be at most 16 KB together. Send fewer or shorter headers.',
          )
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new ServiceError('too_large', 'Chunk extensions must be at most 16 KB. Send none.')
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ServiceError('timed_out', 'The request arrived too slowly. Send it again.')
    case 'HPE_INVALID_METHOD':
      return requestLine.test(textOf(rawPacket)) ? methodUnknown() : malformed()
    case 'HPE_INVALID_URL':
      return malformed('Percent-encode every character of the URL that is not ASCII (RFC 3986, section 2.1).')
    default:
      return malformed()
  }
}

const requestLine = /^[\w!#$%&'*+.^`|~-]+ \S/

function methodUnknown(): ServiceError {
  return new ServiceError(
    'not_implemented',
    'The method is not supported; send GET, HEAD, POST, PUT, PATCH or DELETE.',
  )
}

function malformed(advice = 'Send one that conforms to RFC 9112.'): ServiceError {
  return new ServiceError('invalid', `The request is not well-formed HTTP/1.1. ${advice}`)
}

/** Detects it if the packet starts with the request: then no line ends within the limit. */
function isRequestLineTooLong(packet: Buffer | undefined): boolean {
  const text = textOf(packet)
  return text.length === headerBytesMax && requestLine.test(text) && !text.includes('\n')
}

function textOf(packet: Buffer | undefined): string {
  return packet?.toString('latin1', 0, headerBytesMax) ?? ''
}
