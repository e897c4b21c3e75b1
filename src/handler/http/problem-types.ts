// The problem types of the API (RFC 9457). Problem documents, the OpenAPI document and API Gateway's own answers are made
// from them. Their descriptions are apart, because no answer needs them.
import type { ErrorCode } from '../../model/errors.ts'

export type ProblemCode = ErrorCode | 'internal'

export const problemTypes: Record<ProblemCode, { status: number; title: string }> = {
  invalid: { status: 400, title: 'Bad request' },
  unauthenticated: { status: 401, title: 'Not authenticated' },
  forbidden: { status: 403, title: 'Not allowed' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  timed_out: { status: 408, title: 'Request timeout' },
  conflict: { status: 409, title: 'Conflict' },
  version_mismatch: { status: 412, title: 'Version mismatch' },
  too_large: { status: 413, title: 'Too large' },
  uri_too_long: { status: 414, title: 'URI too long' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  misdirected: { status: 421, title: 'Misdirected request' },
  undecodable: { status: 422, title: 'Undecodable image' },
  overloaded: { status: 429, title: 'Overloaded' },
  headers_too_large: { status: 431, title: 'Header fields too large' },
  internal: { status: 500, title: 'Internal error' },
  not_implemented: { status: 501, title: 'Not implemented' },
  unavailable: { status: 503, title: 'Temporarily unavailable' },
  version_not_supported: { status: 505, title: 'HTTP version not supported' },
}
