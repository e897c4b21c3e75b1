// The descriptions of the problem types in the OpenAPI document.
import type { ProblemCode } from './problem-types.ts'

export type ProblemDescription = {
  description: string
  headers?: ('ETag' | 'Retry-After' | 'WWW-Authenticate')[]
}

export const problemDescriptions: Record<ProblemCode, ProblemDescription> = {
  invalid: { description: 'The input is malformed; `errors` lists every fault' },
  unauthenticated: { description: 'The token is missing or not valid', headers: ['WWW-Authenticate'] },
  forbidden: { description: 'The token does not allow this action', headers: ['WWW-Authenticate'] },
  not_found: { description: 'The user or job does not exist' },
  method_not_allowed: {
    description: 'The path does not support this method; `Allow` lists those it supports',
  },
  timed_out: { description: 'The body arrived too slowly; the connection is closed' },
  conflict: { description: 'The username is taken, or the job is in another state' },
  version_mismatch: {
    description: 'If-Match or If-None-Match failed; `version` is the current version',
    headers: ['ETag'],
  },
  too_large: { description: 'The body is too large' },
  uri_too_long: { description: 'The URL is too long' },
  unsupported_media_type: { description: 'The media type is not supported' },
  misdirected: { description: 'The Host header does not name this machine (with the local issuer only)' },
  undecodable: { description: 'The image cannot be decoded, or has more than 40 megapixels' },
  overloaded: {
    description: 'The service is overloaded and changed nothing; retry after Retry-After',
    headers: ['Retry-After'],
  },
  headers_too_large: { description: 'The header fields are too large' },
  internal: { description: 'The service failed' },
  not_implemented: { description: 'The server does not know the method' },
  unavailable: {
    description: 'A dependency is unavailable; retry after Retry-After',
    headers: ['Retry-After'],
  },
  version_not_supported: { description: 'The server speaks HTTP/1.1 only' },
}
