// Converts events of API Gateway to requests: REST APIs (payload format 1.0) and HTTP APIs (2.0).
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html

import { ServiceError } from '../../model/errors.ts'
import type { HttpRequest, Reply } from '../http/endpoint.ts'
import { withPathPrefix } from '../http/path-prefix.ts'
import { problemReply } from '../http/problem.ts'
import { basePathOf } from './base-path.ts'

export type GatewayRequest = HttpRequest & {
  /** The claims of the token that the gateway's authorizer verified, if the route has an authorizer. */
  claims: Record<string, unknown> | undefined
  /** Clients write this before our paths: the stage on the gateway's own host, the base path on a custom domain. */
  prefix: string
}

export type GatewayReply = {
  statusCode: number
  headers: Record<string, string>
  /** For REST APIs; the console is behind no other. */
  multiValueHeaders?: { 'set-cookie': string[] }
  body: string
  isBase64Encoded: false
}

type Texts = Record<string, string | undefined>
type Lists = Record<string, string[] | undefined>
type RestEvent = {
  httpMethod: string
  /** Starts with the base path on a custom domain. */
  path: string
  resource?: string
  pathParameters?: Texts | null
  headers?: Texts | null
  multiValueHeaders?: Lists | null
  queryStringParameters?: Texts | null
  multiValueQueryStringParameters?: Lists | null
  body?: string | null
  isBase64Encoded?: boolean
  requestContext: {
    requestId?: string
    /** As the client sent it, including the stage. */
    path?: string
    stage?: string
    authorizer?: { claims?: Record<string, unknown> } | null
  }
}
type HttpEvent = {
  /** Starts with the stage, or with the API mapping key on a custom domain. */
  rawPath: string
  routeKey?: string
  pathParameters?: Texts | null
  rawQueryString?: string
  headers?: Texts | null
  body?: string | null
  isBase64Encoded?: boolean
  requestContext: {
    requestId?: string
    stage?: string
    http: { method: string }
    authorizer?: { jwt?: { claims?: Record<string, unknown> } } | null
  }
}

/** @throws Error for other events; its message names their source */
export function readEvent(event: unknown): GatewayRequest {
  if (isRest(event)) {
    const claims = event.requestContext.authorizer?.claims
    const base = restBase(event)
    const path = event.path.slice(base.length)
    const sent = event.requestContext.path ?? event.path
    const prefix = sent.endsWith(path) ? sent.slice(0, sent.length - path.length) : base
    const request = restRequest(event, path)
    // REST events hold a list as comma-separated text.
    return {
      ...request,
      claims: claims && withGroups(claims, (text) => text.split(',')),
      // CloudFront adds the stage to the paths of its clients, and says so.
      prefix: request.header('x-forwarded-prefix') === '/' ? '' : prefix,
    }
  }
  if (isHttp(event)) {
    const claims = event.requestContext.authorizer?.jwt?.claims
    const base = httpBase(event)
    // HTTP events hold a list as text like [one two].
    return {
      ...httpRequest(event, event.rawPath.slice(base.length)),
      claims: claims && withGroups(claims, (text) => text.replace(/^\[|\]$/g, '').split(' ')),
      prefix: base,
    }
  }
  const { source, 'detail-type': type } = Object(event) as Record<string, unknown>
  throw new Error(
    `Only API Gateway's proxy events (payload format 1.0 or 2.0) are supported, not ${JSON.stringify(source ?? type ?? typeof event)}.`,
  )
}

// API Gateway passes 10 MB, and Lambda 6 MB.
const fileBytesMax = 5 * 1024 * 1024

/** Reads a reply's file into its body, because a function answers with a whole text. */
export async function withoutFile({ file, ...reply }: Reply): Promise<Reply> {
  if (!file) return reply
  if (file.bytes > fileBytesMax) {
    const message = `The file has ${file.bytes} bytes, and this address passes ${fileBytesMax}. Export fewer users.`
    return problemReply(new ServiceError('too_large', message), crypto.randomUUID())
  }
  const parts: Uint8Array[] = []
  for await (const part of file.read()) parts.push(part)
  return { ...reply, body: Buffer.concat(parts) }
}

export function toGatewayReply(
  { method, prefix }: GatewayRequest,
  { status = 200, headers = {}, cookies, body = '' }: Reply,
): GatewayReply {
  return {
    statusCode: status,
    headers: Object.fromEntries(
      Object.entries(headers).map(([given, value]) => {
        const name = given.toLowerCase()
        return [name, withPathPrefix({ name, value }, prefix)]
      }),
    ),
    ...(cookies && { multiValueHeaders: { 'set-cookie': cookies } }),
    // All answers are text.
    body: method === 'HEAD' ? '' : typeof body === 'string' ? body : Buffer.from(body).toString(),
    isBase64Encoded: false,
  }
}

function isRest(event: unknown): event is RestEvent {
  const { httpMethod, path, requestContext } = Object(event) as Partial<RestEvent>
  return typeof httpMethod === 'string' && typeof path === 'string' && typeof requestContext === 'object'
}

function isHttp(event: unknown): event is HttpEvent {
  const { rawPath, requestContext } = Object(event) as Partial<HttpEvent>
  return typeof rawPath === 'string' && typeof requestContext?.http?.method === 'string'
}

function withGroups(claims: Record<string, unknown>, split: (text: string) => string[]) {
  const groups = claims['cognito:groups']
  return typeof groups === 'string' ? { ...claims, 'cognito:groups': split(groups) } : claims
}

function restRequest(event: RestEvent, path: string): HttpRequest {
  const query = new URLSearchParams()
  for (const [name, values] of Object.entries(
    event.multiValueQueryStringParameters ?? toLists(event.queryStringParameters),
  ))
    for (const value of values ?? []) query.append(name, value)
  const headers = readHeaders(
    event.multiValueHeaders ?? toLists(event.headers),
    event.requestContext.requestId,
  )
  return makeRequest(event, { method: event.httpMethod, path, query: String(query), headers })
}

function httpRequest(event: HttpEvent, path: string): HttpRequest {
  const { http, requestId } = event.requestContext
  const headers = readHeaders(toLists(event.headers), requestId)
  return makeRequest(event, { method: http.method, path, query: event.rawQueryString ?? '', headers })
}

function restBase({ path, resource, pathParameters, requestContext: { stage } }: RestEvent): string {
  return basePathOf({ path, route: resource, parameters: pathParameters, stage })
}

function httpBase({ rawPath, routeKey, pathParameters, requestContext: { stage } }: HttpEvent): string {
  // `GET /user/{id}` or `$default`.
  const route = routeKey?.split(' ').at(-1) ?? '$default'
  return basePathOf({ path: rawPath, route, parameters: pathParameters, stage })
}

function toLists(values: Texts | null | undefined): Lists {
  return Object.fromEntries(
    Object.entries(values ?? {}).map(([name, value]) => [name, value === undefined ? undefined : [value]]),
  )
}

/** Values by lower-case name. */
type Headers = Map<string, string>

function readHeaders(lists: Lists, requestId: string | undefined): Headers {
  const headers: Headers = new Map()
  for (const [name, values] of Object.entries(lists))
    for (const value of values ?? []) {
      const previous = headers.get(name.toLowerCase())
      // One character a byte, as Node's HTTP server reads headers.
      const text = Buffer.from(value).toString('latin1')
      headers.set(name.toLowerCase(), previous === undefined ? text : `${previous}, ${text}`)
    }
  // The gateway's own id, so that its access log and our log share one id for a request.
  if (!headers.has('x-request-id') && requestId !== undefined) headers.set('x-request-id', requestId)
  // The function may be traced even if the gateway is not.
  const trace = process.env._X_AMZN_TRACE_ID
  if (!headers.has('x-amzn-trace-id') && trace !== undefined) headers.set('x-amzn-trace-id', trace)
  return headers
}

function makeRequest(
  { body, isBase64Encoded }: { body?: string | null; isBase64Encoded?: boolean },
  { headers, ...head }: { method: string; path: string; query: string; headers: Headers },
): HttpRequest {
  const decode = () => Buffer.from(body ?? '', isBase64Encoded ? 'base64' : 'utf8')
  return {
    ...head,
    header: (name) => headers.get(name),
    body: async (bytesMax) => {
      const bytes = decode()
      return bytes.length > bytesMax ? undefined : bytes
    },
    stream: async function* () {
      yield decode()
    },
  }
}
