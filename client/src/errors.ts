// The errors that a call throws, besides the reason of a signal that the caller aborted.
import type { components } from './api-types.ts'

type Problem = components['schemas']['Problem']
/** One fault of the input, with its pointer, parameter or header. */
export type Fault = NonNullable<Problem['errors']>[number]

/** The service refused the call, and said why in a problem document (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly status: number
  /** Such as `urn:problem:version-mismatch`; `about:blank` if the answer is not the service's. */
  readonly type: string
  readonly title: string
  readonly detail: string
  /** Every fault of the input. */
  readonly errors: Fault[]
  /** Names the request in the service's log. */
  readonly requestId: string | undefined
  /** The current version, with status 412. */
  readonly version: number | undefined

  constructor(problem: Partial<Problem> & { status: number }) {
    const { status, title = `Status ${status}`, detail = title, errors = [] } = problem
    super(detail)
    this.status = status
    this.type = problem.type ?? 'about:blank'
    this.title = title
    this.detail = detail
    this.errors = errors
    this.requestId = problem.request_id
    this.version = problem.version
  }
}

/** No answer arrived: the service cannot be reached, or the time limit passed. Whether it acted is unknown. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
  readonly isTimeout: boolean

  constructor(message: string, { cause, isTimeout }: { cause: unknown; isTimeout: boolean }) {
    super(message, { cause })
    this.isTimeout = isTimeout
  }
}

const problemBytesMax = 1024 * 1024

/** @returns the error of an answer that is no success */
export async function problemOf(response: Response): Promise<ProblemError> {
  const { status } = response
  const requestId = response.headers.get('x-request-id') ?? undefined
  const fallback = { status, ...(requestId !== undefined && { request_id: requestId }) }
  const isJson = response.headers.get('content-type')?.includes('json') ?? false
  const length = Number(response.headers.get('content-length') ?? 0)
  if (!isJson || length > problemBytesMax) {
    await response.body?.cancel()
    return new ProblemError(fallback)
  }
  const value: unknown = await response.json().catch(() => undefined)
  return new ProblemError(isProblem(value) ? { ...fallback, ...value, status } : fallback)
}

/** API Gateway and proxies answer with other JSON. */
function isProblem(value: unknown): value is Partial<Problem> {
  if (typeof value !== 'object' || value === null) return false
  const { type, title, detail, errors = [] } = value as Record<string, unknown>
  return [type, title, detail].every((text) => typeof text === 'string') && Array.isArray(errors)
}
