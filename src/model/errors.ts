// The closed set of errors that services and connections throw. The handler maps each code to an HTTP status.

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

/** A fault in the caller's input, located by an RFC 6901 pointer, a parameter or a header. */
export type Fault = { message: string } & ({ pointer: string } | { parameter: string } | { header: string })

/** `message` is sent to the caller. `cause` is only logged, and never leaves the process. */
export class ServiceError extends Error {
  readonly code: ErrorCode
  readonly faults: Fault[]
  readonly retryAfterSeconds: number | undefined
  /** The current version, with `version_mismatch`. */
  readonly version: number | undefined
  /** With `unauthenticated`: no token was sent. Otherwise the token is invalid. */
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

/** Invalid input; every fault is listed. */
export function invalid(...faults: Fault[]): ServiceError {
  return new ServiceError('invalid', 'The request is invalid. Correct the faults listed in `errors`.', {
    faults,
  })
}

export function missingToken(): ServiceError {
  return new ServiceError(
    'unauthenticated',
    'A token is required. Send it as Authorization: Bearer <token>.',
    {
      isTokenMissing: true,
    },
  )
}

/** The same for every invalid token, so that the response does not reveal the reason. */
export function invalidToken(): ServiceError {
  return new ServiceError('unauthenticated', 'The token is invalid or has expired. Get a new one.')
}

/** Rejects a call before any of its work is done. */
export function overloaded(): ServiceError {
  return new ServiceError('overloaded', 'The service is overloaded. Try again shortly.', {
    retryAfterSeconds: 2,
  })
}

/** @param dependency begins the message, such as `The database`. @param cause is only logged */
export function unavailable(dependency: string, cause?: unknown): ServiceError {
  return new ServiceError(
    'unavailable',
    `${dependency} cannot be reached at the moment. Try again shortly.`,
    {
      retryAfterSeconds: 1,
      cause,
    },
  )
}
