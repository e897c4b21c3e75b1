// The header fields of requests and answers in the OpenAPI document.
import type { Answer, Endpoint } from './endpoint.ts'
import { staleSecondsMax } from './max-stale.ts'
import type { ProblemDescription } from './problem-descriptions.ts'

type Json = Record<string, unknown>
type HeaderName = NonNullable<(Answer | ProblemDescription)['headers']>[number]

const headers: Record<HeaderName, Json> = {
  Age: {
    description: 'Only of an answer by a read replica: how many seconds old its data is at most (RFC 9111).',
    schema: { type: 'integer', minimum: 0, examples: [1] },
  },
  ETag: {
    description: "The user's version in double quotes.",
    schema: { type: 'string', examples: ['"3"'] },
  },
  Link: { description: 'The next page, with rel="next".', schema: { type: 'string' } },
  'X-Cache': {
    description: 'Whether the answer came from the cache.',
    schema: { type: 'string', enum: ['hit', 'miss', 'bypass'] },
  },
  'WWW-Authenticate': {
    description: 'RFC 6750: `error` is absent without a token, else `invalid_token` or `insufficient_scope`.',
    schema: { type: 'string', examples: ['Bearer realm="user-directory", error="invalid_token"'] },
  },
  'Retry-After': { description: 'In seconds.', schema: { type: 'integer', examples: [2] } },
  'Content-Disposition': {
    description: 'The name of the file.',
    schema: { type: 'string', examples: ['attachment; filename="users.csv"'] },
  },
}

const requestId = 'X-Request-Id'

/** The components that operations refer to. */
export const headerComponents: Json = {
  headers: {
    [requestId]: {
      description: 'Names the request in the log and in problem documents.',
      schema: { type: 'string' },
    },
  },
  parameters: {
    [requestId]: {
      name: requestId,
      in: 'header',
      required: false,
      description: 'An id for the request. If it is missing or has another form, the service makes one.',
      schema: { type: 'string', pattern: '^[A-Za-z0-9._-]{8,64}$' },
    },
  },
}

/** @param location describes the Location header, if there is one */
export function responseHeaders(names: HeaderName[] = [], location?: string): Json {
  return {
    ...Object.fromEntries(names.map((name) => [name, headers[name]])),
    ...(location !== undefined && { Location: { description: location, schema: { type: 'string' } } }),
    [requestId]: { $ref: `#/components/headers/${requestId}` },
  }
}

/** The header parameters of an endpoint. OpenAPI describes Authorization and Content-Type elsewhere. */
export function requestHeaders({ isVersioned, mayBeStale, contentEncodings }: Endpoint): Json[] {
  return [
    ...(isVersioned ? conditions : []),
    ...(mayBeStale ? [staleness] : []),
    ...(contentEncodings ? [contentEncoding(contentEncodings)] : []),
    { $ref: `#/components/parameters/${requestId}` },
  ]
}

const conditions: Json[] = [
  {
    name: 'If-Match',
    in: 'header',
    required: false,
    description:
      'Versions in double quotes, or *. The answer is 412 unless the current version is one of them.',
    schema: { type: 'string', examples: ['"3"'] },
  },
  {
    name: 'If-None-Match',
    in: 'header',
    required: false,
    description:
      'Versions in double quotes, or * for any. If the current version is one of them, the answer is 304 for GET and 412 for other methods.',
    schema: { type: 'string', examples: ['"3"'] },
  },
]

const staleness: Json = {
  name: 'Cache-Control',
  in: 'header',
  required: false,
  description: `max-stale=<seconds> (RFC 9111, section 5.2.1.2) accepts data of this age, which a read replica may answer. Without a value, and at most: ${staleSecondsMax} seconds. Other directives have no effect, except that no-cache overrides it.`,
  schema: { type: 'string', examples: ['max-stale=5'] },
}

function contentEncoding(values: string[]): Json {
  return {
    name: 'Content-Encoding',
    in: 'header',
    required: false,
    description: 'The service recognises the compression without it, too.',
    schema: { type: 'string', enum: ['identity', ...values] },
  }
}
