// Answers a request whatever happens: assigns an id, turns errors into problem documents, and writes one log line.
import { ServiceError } from '../../model/errors.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Cors } from './cors.ts'
import type { HttpRequest, Reply, RequestLog } from './endpoint.ts'
import { problemReply } from './problem.ts'
import { readRequestId, readTraceId } from './request-id.ts'

export type Outcome = { status: number; durationMs: number; cache: unknown }

/** Called after each answer, with the fields of its log line. Must not throw. */
export type Observe = (log: RequestLog, status: number, durationMs: number) => void

/** @returns more fields for the request's log line */
export type MetricFields = (outcome: Outcome) => Record<string, unknown>

export type Answer<Request extends HttpRequest> = (request: Request, log: RequestLog) => Promise<Reply>

/** Never rejects. */
export type Responder<Request extends HttpRequest> = (
  request: Request,
  answer: Answer<Request>,
) => Promise<Reply>

export function createResponder<Request extends HttpRequest>({
  logger,
  metricFields,
  observe,
  cors,
}: {
  logger: Logger
  metricFields?: MetricFields | undefined
  observe?: Observe | undefined
  cors?: Cors | undefined
}): Responder<Request> {
  return async (request, answer) => {
    const startedAt = performance.now()
    const requestId = readRequestId(request.header('x-request-id'))
    const log: RequestLog = { route: 'none', caller: undefined, cache: undefined }
    let reply: Reply
    try {
      reply = await answer(request, log)
    } catch (error) {
      logError(error, requestId)
      reply = problemReply(error, requestId)
    }
    const { status = 200 } = reply
    const durationMs = Math.round((performance.now() - startedAt) * 100) / 100
    observe?.(log, status, durationMs)
    logger.info('request', {
      request_id: requestId,
      xray_trace_id: readTraceId(request.header('x-amzn-trace-id')),
      method: request.method,
      route: log.route,
      status,
      duration_ms: durationMs,
      caller: log.caller,
      cache: log.cache,
      ...metricFields?.({ status, durationMs, cache: log.cache }),
    })
    return withCommonHeaders(reply, requestId, cors?.headers(request))
  }

  function logError(error: unknown, requestId: string): void {
    const { code } = error instanceof ServiceError ? error : { code: 'internal' }
    if (code === 'internal') logger.error('request failed', { request_id: requestId, error })
    else if (error instanceof ServiceError && error.cause !== undefined && code !== 'conflict')
      logger.warn('request rejected', { request_id: requestId, code, error })
  }
}

/** @param cors headers for browsers on other origins, if any origin is allowed */
export function withCommonHeaders(reply: Reply, requestId: string, cors?: Record<string, string>): Reply {
  const common = { ...reply.headers, 'X-Request-Id': requestId, 'X-Content-Type-Options': 'nosniff' }
  return { ...reply, headers: cors ? { ...common, ...cors } : common }
}
