// Exporting spans to collectors that work, fail, hang or lie.
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { describeSpan, encodeSpan } from '../../../src/platform/tracing/span.ts'
import { openSpanExporter } from '../../../src/platform/tracing/span-exporter.ts'
import { atEnd } from '../../support/cleanup.ts'
import { type Collector, startCollector } from '../../support/collector.ts'
import { freePort } from '../../support/port.ts'
import { until } from '../../support/wait.ts'

const place = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  spanId: '00f067aa0ba902b7',
  parentId: undefined,
  state: '',
  isRemote: false,
  startedAt: performance.now(),
}
const span = encodeSpan(
  place,
  describeSpan('server', { name: 'GET /user/{id}', attributes: { status: 200 } }),
)

function open(url: string, headers: Record<string, string> = {}) {
  const warnings: unknown[] = []
  const ignore = () => {}
  const logger = {
    debug: ignore,
    info: ignore,
    warn: (...line: unknown[]) => void warnings.push(line),
    error: ignore,
  }
  const exporter = openSpanExporter({ url: `${url}/v1/traces`, headers }, { 'service.name': 'test' }, logger)
  const add = (count: number) => {
    for (let at = 0; at < count; at++) exporter.add(span)
  }
  return { ...exporter, add, warnings }
}

/** A server that speaks no HTTP of its own. */
async function startSocketServer(connected: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    connected(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** @returns the number of spans of each request */
function sizesOf({ bodies }: Collector): number[] {
  return bodies.map((body) => body.split('"traceId"').length - 1)
}

it('sends full batches at once, and the rest at the end', async () => {
  const collector = await startCollector()
  const exporter = open(collector.url, { authorization: 'Bearer of the vendor' })
  exporter.add(1_200)
  await until('two batches', () => collector.spans.length >= 1_024)
  await exporter.close()
  expect(sizesOf(collector)).toEqual([512, 512, 176])
  expect(exporter.counts()).toEqual({ exported: 1_200, dropped: 0 })
  expect(collector.spans[0]).toEqual({
    ...JSON.parse(span),
    attributes: { status: 200 },
    resource: { 'service.name': 'test' },
  })
  expect(collector.headers[0]).toMatchObject({
    authorization: 'Bearer of the vendor',
    'content-type': 'application/json',
  })
})

it('waits for a full batch or a second also after a batch, so that requests are few', async () => {
  const collector = await startCollector()
  const exporter = open(collector.url)
  exporter.add(612)
  await until('the first batch', () => exporter.counts().exported >= 512)
  exporter.add(412)
  await until('the second batch', () => exporter.counts().exported === 1_024)
  expect(sizesOf(collector)).toEqual([512, 512])
  await exporter.close()
})

it('sends a few spans after a second', async () => {
  const collector = await startCollector()
  const exporter = open(collector.url)
  exporter.add(1)
  await until('the span', () => collector.spans.length === 1)
  await exporter.close()
})

it('counts the spans that a collector rejects, and does not send them again', async () => {
  const collector = await startCollector()
  const exporter = open(collector.url)
  collector.answer = (response) =>
    response.end('{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}')
  exporter.add(512)
  await until('the first batch', () => exporter.counts().exported > 0)
  expect(exporter.counts()).toEqual({ exported: 509, dropped: 3 })
  collector.answer = (response) => response.writeHead(400).end()
  exporter.add(512)
  await until('the second batch', () => exporter.counts().dropped > 3)
  expect(exporter.counts()).toEqual({ exported: 509, dropped: 515 })
  // One warning a minute.
  expect(exporter.warnings).toHaveLength(1)
  await exporter.close()
})

it('keeps the spans of a collector that is down until it is back', async () => {
  const port = await freePort()
  const exporter = open(`http://127.0.0.1:${port}`)
  exporter.add(512)
  await until('the failure', () => exporter.warnings.length === 1)
  const collector = await startCollector(port)
  await until('the spans', () => collector.spans.length === 512)
  expect(exporter.counts().dropped).toBe(0)
  await exporter.close()
})

it('sends a batch again that the collector could not take at the moment', async () => {
  const collector = await startCollector()
  collector.answer = (response) => response.writeHead(503).end()
  const exporter = open(collector.url)
  exporter.add(512)
  await until('the failure', () => exporter.warnings.length === 1)
  collector.answer = undefined
  await until('the spans', () => exporter.counts().exported === 512)
  expect(collector.spans).toHaveLength(512)
  expect(exporter.counts().dropped).toBe(0)
  await exporter.close()
})

it.each<[string, (socket: Socket) => void]>([
  ['never answers', () => {}],
  ['ends each connection', (socket) => socket.destroy()],
  ['speaks no HTTP', (socket) => socket.end('hello\r\n\r\n')],
  [
    'breaks its answer off',
    (socket) =>
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{', () => socket.resetAndDestroy())
      }),
  ],
  [
    'never ends its answer',
    (socket) => socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{')),
  ],
  [
    'answers a byte at a time',
    (socket) => {
      const timer = setInterval(() => socket.write('H'), 50)
      socket.on('close', () => clearInterval(timer))
    },
  ],
])('bounds the queue and the end with a collector that %s', async (_, connected) => {
  const exporter = open(await startSocketServer(connected))
  exporter.add(100_000)
  expect(exporter.counts()).toEqual({ exported: 0, dropped: 100_000 - 2_048 })
  const startedAt = performance.now()
  await exporter.close()
  expect(performance.now() - startedAt).toBeLessThan(4_000)
  expect(exporter.counts()).toEqual({ exported: 0, dropped: 100_000 })
})

it('reads no more of an answer than its bound', async () => {
  let written = 0
  const url = await startSocketServer((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      const chunk = `10000\r\n${'a'.repeat(65_536)}\r\n`
      const more = (): void => {
        if (socket.destroyed) return
        written += chunk.length
        if (socket.write(chunk)) setImmediate(more)
        else socket.once('drain', more)
      }
      more()
    })
  })
  const exporter = open(url)
  exporter.add(512)
  await until('the batch', () => exporter.counts().exported === 512)
  await exporter.close()
  // The sockets' buffers take more than is read.
  expect(written).toBeLessThan(64 * 1024 * 1024)
})

it('follows no redirect, which could lead the secret of a header to another host', async () => {
  const other = await startCollector()
  const collector = await startCollector()
  collector.answer = (response) => response.writeHead(307, { Location: `${other.url}/v1/traces` }).end()
  const exporter = open(collector.url, { authorization: 'secret' })
  exporter.add(512)
  await until('the rejection', () => exporter.counts().dropped === 512)
  expect(other.bodies).toEqual([])
  await exporter.close()
})
