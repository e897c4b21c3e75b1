// The closed set of ways in which a call can fail. Services and connections throw these; the handler
// alone knows which HTTP status each becomes.

export type ErrorCode =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'timed_out'
  | 'conflict'
  | 'version_mismatch'
  | 'too_large'
  | 'uri_too_long'
  | 'unsupported_media_type'
  | 'misdirected'
  | 'undecodable'
  | 'headers_too_large'
  | 'overloaded'
  | 'not_implemented'
  | 'unavailable'
  | 'version_not_supported'

/** One thing wrong with the caller's input: where it is (RFC 6901 pointer, parameter or header) and what. */
export type Fault = { message: string } & ({ pointer: string } | { parameter: string } | { header: string })

/**
 * A failure the caller is told about. `message` is the text for the caller; `cause` is for the log
 * alone and never leaves the process.
 */
export class ServiceError extends Error {
  readonly code: ErrorCode
  readonly faults: Fault[]
  readonly retryAfterSeconds: number | undefined
  /** The present version, where `version_mismatch` is thrown. */
  readonly version: number | undefined
  /** No token was sent, where `unauthenticated` is thrown; otherwise it was one that is not valid. */
  readonly isTokenMissing: boolean

  constructor(
    code: ErrorCode,
    message: string,
    more: {
      faults?: Fault[]
      retryAfterSeconds?: number
      version?: number
      isTokenMissing?: boolean
      cause?: unknown
    } = {},
  ) {
    super(message, { cause: more.cause })
    this.name = 'ServiceError'
    this.code = code
    this.faults = more.faults ?? []
    this.retryAfterSeconds = more.retryAfterSeconds
    this.version = more.version
    this.isTokenMissing = more.isTokenMissing ?? false
  }
}

/** Input that breaks a rule; every fault found is listed. */
export function invalid(...faults: Fault[]): ServiceError {
  return new ServiceError('invalid', 'The request has faults; each is listed in `errors`.', { faults })
}

export function missingToken(): ServiceError {
  return new ServiceError('unauthenticated', 'A token is needed: send Authorization: Bearer <token>.', {
    isTokenMissing: true,
  })
}

/** The same for every token that is not valid: nothing tells why. */
export function invalidToken(): ServiceError {
  return new ServiceError('unauthenticated', 'The token is not valid, or no longer. Get a new one.')
}

/** More work than can be done in good time. Nothing has been done of what is refused so. */
export function overloaded(): ServiceError {
  return new ServiceError('overloaded', 'The service has more work than it can do. Try again shortly.', {
    retryAfterSeconds: 2,
  })
}

/** A dependency that cannot be reached or does not answer in time. The cause goes to the log. */
export function unavailable(what: string, cause?: unknown): ServiceError {
  return new ServiceError('unavailable', `${what} cannot be reached at the moment. Try again shortly.`, {
    retryAfterSeconds: 1,
    cause,
  })
}
