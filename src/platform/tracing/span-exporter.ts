// Sends spans to an OpenTelemetry collector by OTLP over HTTP. Whatever the collector does, the queue stays bounded and no
// request waits for it. Why not a library: docs/adr/0028-export-spans-without-a-library.md.
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from '../logger.ts'
import { type Attributes, encodeAttributes } from './span.ts'

export type SpanCounts = {
  exported: number
  /** Lost because the queue was full, or because the collector rejected them. */
  dropped: number
}

export type SpanExporter = {
  /** @param span by `encodeSpan` */
  add(span: string): void
  counts(): SpanCounts
  /** Sends what is left, within `closeMsMax`. */
  close(): Promise<void>
}

// The limits of OpenTelemetry's own batch processor and exporter.
const queueMax = 2_048
const batchMax = 512
const batchMsMax = 1_000
const requestMsMax = 10_000
const closeMsMax = 2_000
/** After a failure, doubled with each further one. */
const retryMsMin = 1_000
const retryMsMax = 30_000
// An answer only states how many spans were rejected, and an error.
const answerBytesMax = 16 * 1024
const warnMsMin = 60_000
// https://opentelemetry.io/docs/specs/otlp/#otlphttp-response: the collector may take the spans later.
const retried = new Set([429, 502, 503, 504])

/**
 * @param target.url the collector's address for traces
 * @param target.headers such as those that authenticate
 * @param resource describes this process
 */
export function openSpanExporter(
  target: { url: string; headers: Record<string, string> },
  resource: Attributes,
  logger: Logger,
): SpanExporter {
  const head = `{"resourceSpans":[{"resource":{"attributes":${encodeAttributes(resource)}},"scopeSpans":[{"scope":{"name":"user-directory"},"spans":`
  const queue: string[] = []
  const counts: SpanCounts = { exported: 0, dropped: 0 }
  const collector = openPost(target)
  const closing = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let sending: Promise<void> | undefined
  let failures = 0
  let warnedAt = Number.NEGATIVE_INFINITY

  const warn = (reason: unknown): void => {
    const now = performance.now()
    if (now - warnedAt < warnMsMin) return
    warnedAt = now
    logger.warn('traces cannot be exported; check OTEL_EXPORTER_OTLP_ENDPOINT and the collector', {
      dropped: counts.dropped,
      error: reason,
    })
  }

  /** @returns whether the first spans of the queue are done */
  const sendBatch = async (msMax: number): Promise<boolean> => {
    const batch = queue.slice(0, batchMax)
    let rejected = 0
    try {
      const { status, body } = await collector.post(`${head}[${batch.join()}]}]}]}`, msMax)
      if (retried.has(status)) throw new Error(`the collector answered ${status}`)
      rejected = status >= 200 && status < 300 ? rejectedIn(body, batch.length) : batch.length
      if (rejected > 0) warn(new Error(`the collector answered ${status} and rejected ${rejected} spans`))
    } catch (error) {
      warn(error)
      return false
    }
    queue.splice(0, batch.length)
    counts.exported += batch.length - rejected
    counts.dropped += rejected
    return true
  }

  /** Sends a batch, and further ones while they are full. */
  const sendBatches = async (): Promise<void> => {
    do {
      if (await sendBatch(requestMsMax)) failures = 0
      else {
        const pauseMs = Math.min(retryMsMax, retryMsMin * 2 ** failures++)
        await pause(pauseMs, undefined, { ref: false, signal: closing.signal }).catch(() => {})
      }
    } while ((failures > 0 || queue.length >= batchMax) && !closing.signal.aborted)
    sending = undefined
    if (queue.length > 0) startLater()
  }

  const start = (): void => {
    clearTimeout(timer)
    timer = undefined
    sending ??= sendBatches()
  }

  const startLater = (): void => {
    if (!closing.signal.aborted) timer ??= setTimeout(start, batchMsMax).unref()
  }

  return {
    add: (span) => {
      if (queue.length >= queueMax) {
        counts.dropped++
        return
      }
      queue.push(span)
      if (queue.length >= batchMax) start()
      else startLater()
    },
    counts: () => counts,
    close: async () => {
      clearTimeout(timer)
      closing.abort()
      const until = performance.now() + closeMsMax
      // A batch on its way must end first; a collector that hangs takes all the time.
      await Promise.race([sending, pause(closeMsMax, undefined, { ref: false })])
      for (let msLeft = until - performance.now(); queue.length > 0 && msLeft > 0; ) {
        if (!(await sendBatch(msLeft))) break
        msLeft = until - performance.now()
      }
      collector.close()
      counts.dropped += queue.splice(0).length
    },
  }
}

type Post = { post(body: string, msMax: number): Promise<{ status: number; body: string }>; close(): void }

/**
 * Node's own client, which follows no redirect that would lead the headers, and maybe a secret, to another host. It takes
 * less time than `fetch`.
 */
function openPost({ url, headers }: { url: string; headers: Record<string, string> }): Post {
  const { Agent, request } = url.startsWith('https:') ? https : http
  const agent = new Agent({ keepAlive: true })
  return {
    /** @throws Error without a complete answer in time */
    post: async (body, msMax) => {
      const sent = request(url, {
        agent,
        method: 'POST',
        headers: {
          ...headers,
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(body),
        },
        signal: AbortSignal.timeout(Math.max(1, Math.floor(msMax))),
      })
      // An error after the answer began also breaks the answer, which reports it.
      sent.on('error', () => {})
      sent.end(body)
      const [answer] = (await once(sent, 'response')) as [http.IncomingMessage]
      const chunks: Buffer[] = []
      let bytes = 0
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        bytes += chunk.length
        // Leaving the loop ends the connection.
        if (bytes > answerBytesMax) break
        chunks.push(chunk)
      }
      return { status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() }
    },
    close: () => agent.destroy(),
  }
}

/** A partial success: https://opentelemetry.io/docs/specs/otlp/#partial-success-1. */
function rejectedIn(body: string, sent: number): number {
  const [, count = '0'] = /"rejected_?[sS]pans"\s*:\s*"?(\d{1,9})/.exec(body) ?? []
  return Math.min(sent, Number(count))
}
