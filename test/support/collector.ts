// An OpenTelemetry collector for tests: it takes spans by OTLP over HTTP with JSON, and can fail in several ways.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { atEnd } from './cleanup.ts'

export type ReceivedSpan = {
  traceId: string
  spanId: string
  parentSpanId?: string
  traceState?: string
  flags: number
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: Record<string, string | number>
  status?: { code: number }
  /** The attributes of the process. */
  resource: Record<string, string | number>
}

export type Collector = {
  url: string
  spans: ReceivedSpan[]
  /** The bodies as received. */
  bodies: string[]
  headers: IncomingHttpHeaders[]
  /** If set, answers instead, and the spans do not count as received. */
  answer: ((response: ServerResponse) => void) | undefined
  close(): Promise<void>
}

type Attribute = { key: string; value: { stringValue?: string; intValue?: number } }
type Body = {
  resourceSpans: {
    resource: { attributes: Attribute[] }
    scopeSpans: { spans: (Omit<ReceivedSpan, 'attributes' | 'resource'> & { attributes: Attribute[] })[] }[]
  }[]
}

const read = (attributes: Attribute[]) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? '']))

export async function startCollector(port = 0): Promise<Collector> {
  const server = createServer(async (request, response) => {
    const body = await text(request)
    collector.headers.push(request.headers)
    collector.bodies.push(body)
    if (request.method !== 'POST' || request.url !== '/v1/traces') return response.writeHead(404).end()
    if (collector.answer) return collector.answer(response)
    for (const { resource, scopeSpans } of (JSON.parse(body) as Body).resourceSpans)
      for (const span of scopeSpans.flatMap(({ spans }) => spans))
        collector.spans.push({
          ...span,
          attributes: read(span.attributes),
          resource: read(resource.attributes),
        })
    return response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  const collector: Collector = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    bodies: [],
    headers: [],
    answer: undefined,
    close,
  }
  atEnd(close)
  return collector
}
