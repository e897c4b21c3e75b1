// Serves /metrics for Prometheus on a port of its own, which the service's clients need not reach.
import { createServer } from 'node:http'
import type { Logger } from '../../platform/logger.ts'

const requestMsMax = 5_000
// Prometheus servers and people who look.
const connectionsMax = 20
// Version 0.0.4 of the text format: https://prometheus.io/docs/instrumenting/exposition_formats.
const contentType = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * @param where.host all addresses if absent
 * @param read returns the metrics in Prometheus' text format
 * @throws Error if the port is in use
 */
export async function serveMetrics(
  where: { port: number; host?: string | undefined },
  read: () => Promise<string>,
  logger: Logger,
): Promise<{ close(): Promise<void> }> {
  let reading: Promise<string> | undefined
  // Concurrent requests share one reading, so that many of them cost little more than one.
  const readOnce = (): Promise<string> => {
    reading ??= read().finally(() => {
      reading = undefined
    })
    return reading
  }
  const server = createServer(
    { maxHeaderSize: 4_096, headersTimeout: requestMsMax, requestTimeout: requestMsMax },
    (request, response) => {
      // No request has a body that is read.
      request.resume()
      const isRead = request.method === 'GET' || request.method === 'HEAD'
      if (request.url?.split('?')[0] !== '/metrics') response.writeHead(404).end()
      else if (!isRead) response.writeHead(405, { Allow: 'GET, HEAD' }).end()
      else
        readOnce().then(
          (text) => response.writeHead(200, { 'Content-Type': contentType }).end(text),
          (error: unknown) => {
            logger.error('reading the metrics failed', { error })
            response.writeHead(500).end()
          },
        )
    },
  )
  server.maxConnections = connectionsMax
  server.timeout = 2 * requestMsMax
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, resolve)
  })
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
