// Sends a request within a time limit, and again where a repetition is safe.
import { ConnectionError } from './errors.ts'

export type SendOptions = {
  /** For one attempt, its answer included. */
  timeoutMs: number
  attemptsMax: number
  fetch: (request: Request) => Promise<Response>
  /** Leaves the answer's body to be read later, within the time limit. */
  isStreamed?: boolean
}

const delayMsMin = 200
const delayMsMax = 5_000
// A longer wait is the caller's decision.
const retryAfterMsMax = 30_000

/**
 * The service changes nothing before it answers 429, so every request may be repeated after it. After 503 or without an
 * answer the change may have happened, so only idempotent requests without a condition are repeated.
 * @param makeRequest is called for each attempt, because a request's body can be read only once
 * @returns the answer, whatever its status
 * @throws ConnectionError, or the reason of the request's signal
 */
export async function send(makeRequest: () => Request, options: SendOptions): Promise<Response> {
  let isOutcomeUnknown = false
  for (let attempt = 1; ; attempt++) {
    const request = makeRequest()
    const { method, signal } = request
    const isIdempotent = canRepeat(request)
    const isLast = attempt >= options.attemptsMax
    const outcome = await attemptOnce(request, options)
    if (outcome instanceof ConnectionError) {
      if (isLast || !isIdempotent) throw outcome
      isOutcomeUnknown = true
      await pause(delayMs(attempt), signal)
      continue
    }
    const { status } = outcome
    // An earlier attempt has erased it.
    if (status === 404 && isOutcomeUnknown && method === 'DELETE') return new Response(null, { status: 204 })
    const waitMs = Math.max(delayMs(attempt), retryAfterMs(outcome))
    const mayPass = status === 429 || (status === 503 && isIdempotent)
    if (isLast || !mayPass || waitMs > retryAfterMsMax) return outcome
    isOutcomeUnknown ||= status === 503
    await outcome.body?.cancel()
    await pause(waitMs, signal)
  }
}

function canRepeat({ method, headers }: Request): boolean {
  if (method === 'GET' || method === 'HEAD') return true
  // A repeated conditional request would fail because of the first one's change.
  return (method === 'PUT' || method === 'DELETE') && !headers.has('if-match')
}

async function attemptOnce(
  request: Request,
  { fetch, timeoutMs, isStreamed = false }: SendOptions,
): Promise<Response | ConnectionError> {
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(new Request(request, { signal: AbortSignal.any([request.signal, timeout]) }))
    if (isStreamed) return response
    const { status, statusText, headers } = response
    const bytes = await response.arrayBuffer()
    return new Response(bytes.byteLength === 0 ? null : bytes, { status, statusText, headers })
  } catch (error) {
    request.signal.throwIfAborted()
    const { origin } = new URL(request.url)
    const message = timeout.aborted
      ? `${origin} did not answer within ${timeoutMs / 1_000} seconds.`
      : `${origin} cannot be reached.`
    return new ConnectionError(message, { cause: error, isTimeout: timeout.aborted })
  }
}

/** Doubles with each attempt. Half of it is random, so that clients do not return all at once. */
function delayMs(attempt: number): number {
  const most = Math.min(delayMsMax, delayMsMin * 2 ** attempt)
  return most / 2 + (Math.random() * most) / 2
}

/** RFC 9110, section 10.2.3: seconds or a date. */
function retryAfterMs({ headers }: Response): number {
  const value = headers.get('retry-after')
  if (value === null) return 0
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : 0
}

/** @throws the reason of the signal */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    if (signal?.aborted) stop()
    else signal?.addEventListener('abort', stop, { once: true })
  })
}
