// The problem types of the API (RFC 9457). Problem documents, the OpenAPI document and API Gateway's own answers
// are made from these descriptions.
import type { ErrorCode } from '../../model/errors.ts'

export type ProblemCode = ErrorCode | 'internal'

export type ProblemType = {
  status: number
  title: string
  /** For the OpenAPI document. */
  description: string
  headers?: ('ETag' | 'Retry-After' | 'WWW-Authenticate')[]
}

export const problemTypes: Record<ProblemCode, ProblemType> = {
  invalid: {
    status: 400,
    title: 'Bad request',
    description: 'The input is malformed; `errors` lists every fault',
  },
  unauthenticated: {
    status: 401,
    title: 'Not authenticated',
    description: 'The token is missing or not valid',
    headers: ['WWW-Authenticate'],
  },
  forbidden: {
    status: 403,
    title: 'Not allowed',
    description: 'The token does not allow this action',
    headers: ['WWW-Authenticate'],
  },
  not_found: { status: 404, title: 'Not found', description: 'The user or job does not exist' },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    description: 'The path does not support this method; `Allow` lists those it supports',
  },
  timed_out: {
    status: 408,
    title: 'Request timeout',
    description: 'The body arrived too slowly; the connection is closed',
  },
  conflict: {
    status: 409,
    title: 'Conflict',
    description: 'The username is taken, or the job is in another state',
  },
  version_mismatch: {
    status: 412,
    title: 'Version mismatch',
    description: 'If-Match or If-None-Match failed; `version` is the current version',
    headers: ['ETag'],
  },
  too_large: { status: 413, title: 'Too large', description: 'The body is too large' },
  uri_too_long: { status: 414, title: 'URI too long', description: 'The URL is too long' },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    description: 'The media type is not supported',
  },
  misdirected: {
    status: 421,
    title: 'Misdirected request',
    description: 'The Host header does not name this machine (with the local issuer only)',
  },
  undecodable: {
    status: 422,
    title: 'Undecodable image',
    description: 'The image cannot be decoded, or has more than 40 megapixels',
  },
  overloaded: {
    status: 429,
    title: 'Overloaded',
    description: 'The service is overloaded and changed nothing; retry after Retry-After',
    headers: ['Retry-After'],
  },
  headers_too_large: {
    status: 431,
    title: 'Header fields too large',
    description: 'The header fields are too large',
  },
  internal: { status: 500, title: 'Internal error', description: 'The service failed' },
  not_implemented: {
    status: 501,
    title: 'Not implemented',
    description: 'The server does not know the method',
  },
  unavailable: {
    status: 503,
    title: 'Temporarily unavailable',
    description: 'A dependency is unavailable; retry after Retry-After',
    headers: ['Retry-After'],
  },
  version_not_supported: {
    status: 505,
    title: 'HTTP version not supported',
    description: 'The server speaks HTTP/1.1 only',
  },
}
