// Traces requests: each continues the trace of its caller, or begins one. Loaded only if a collector is configured.
import type { Logger } from '../../platform/logger.ts'
import { type Description, describeSpan } from '../../platform/tracing/span.ts'
import { readTraceContext } from '../../platform/tracing/trace-context.ts'
import type { Tracer } from '../../platform/tracing/tracer.ts'
import type { HttpRequest, Reply } from '../http/endpoint.ts'
import type { Observe } from '../http/respond.ts'

export type RequestTracing = {
  /** @returns answers a request as `answer` does, in a span */
  trace<Request extends HttpRequest>(
    answer: (request: Request) => Promise<Reply>,
  ): (request: Request) => Promise<Reply>
  /** Describes the span of the current request. */
  observe: Observe
}

export function traceRequests(tracer: Tracer): RequestTracing {
  const descriptionOf = createDescriptions()
  return {
    trace: (answer) => (request) =>
      tracer.request(readTraceContext(request.header('traceparent'), request.header('tracestate')), () =>
        answer(request),
      ),
    observe: ({ route, cache }, status) => tracer.describe(descriptionOf(route, status, cache)),
  }
}

/** Keeps the descriptions, of which there are as many as of routes and statuses. */
function createDescriptions(): (route: string, status: number, cache: string | undefined) => Description {
  const known = new Map<string, Description>()
  return (route, status, cache = '') => {
    const key = `${route} ${status} ${cache}`
    let description = known.get(key)
    if (description === undefined) {
      description = describeRequest(route, status, cache)
      known.set(key, description)
    }
    return description
  }
}

function describeRequest(route: string, status: number, cache: string): Description {
  const [method = '', template] = route.split(' ')
  // Without a route even the method is the client's invention.
  const isKnown = template !== undefined
  return describeSpan('server', {
    name: isKnown ? route : 'HTTP',
    attributes: {
      ...(isKnown && { 'http.request.method': method, 'http.route': template }),
      'http.response.status_code': status,
      ...(cache !== '' && { 'user_directory.cache': cache }),
    },
    hasFailed: status >= 500,
  })
}

/** Adds the current request's trace id to each line. */
export function traceLogger(logger: Logger, tracer: Tracer): Logger {
  const withTrace = (fields: Record<string, unknown> | undefined): Record<string, unknown> | undefined => {
    const traceId = tracer.traceId()
    return traceId === undefined ? fields : { ...fields, trace_id: traceId }
  }
  return {
    debug: (message, fields) => logger.debug(message, withTrace(fields)),
    info: (message, fields) => logger.info(message, withTrace(fields)),
    warn: (message, fields) => logger.warn(message, withTrace(fields)),
    error: (message, fields) => logger.error(message, withTrace(fields)),
  }
}
