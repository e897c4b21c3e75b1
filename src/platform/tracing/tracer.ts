// Traces requests and the calls that they make. Loaded by the Node server only if a collector is configured.
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomFillSync } from 'node:crypto'
import type { Logger } from '../logger.ts'
import type { Sampler, TraceSettings } from '../trace-settings.ts'
import { type CallKind, type Description, describeSpan, encodeSpan } from './span.ts'
import { openSpanExporter, type SpanCounts } from './span-exporter.ts'
import type { TraceContext } from './trace-context.ts'

export type Tracer = {
  /**
   * Runs a request in a span of its own, if it is sampled.
   * @param parent the trace that the request belongs to; undefined begins a new one
   */
  request<T>(parent: TraceContext | undefined, work: () => Promise<T>): Promise<T>
  /** Describes the current request once its route and answer are known. */
  describe(description: Description): void
  /** Runs a call in a span of the current request. Outside of a sampled request it only runs the call. */
  call<T>(kind: CallKind, work: () => Promise<T>): Promise<T>
  /** Runs work that serves several requests outside of all traces. */
  detached<T>(work: () => T): T
  /** The current request's trace, sampled or not. */
  traceId(): string | undefined
  counts(): SpanCounts
  close(): Promise<void>
}

/** The request that the current work belongs to. */
type Current = {
  traceId: string
  /** Undefined if the request is not sampled. */
  spanId: string | undefined
  state: string
  description: Description
  hasEnded: boolean
}

// For a request that ends without an answer.
const failed = describeSpan('server', { name: 'HTTP', attributes: {}, hasFailed: true })

export function openTracer({ exporter, sampler, serviceName }: TraceSettings, logger: Logger): Tracer {
  const spans = openSpanExporter(
    exporter,
    {
      'service.name': serviceName,
      'service.instance.id': crypto.randomUUID(),
      'process.pid': process.pid,
    },
    logger,
  )
  const storage = new AsyncLocalStorage<Current | undefined>()

  return {
    request: async (parent, work) => {
      const startedAt = performance.now()
      const traceId = parent?.traceId ?? randomHex(16)
      const isSampled = decide(sampler, traceId, parent)
      if (!isSampled && !parent) return work()
      const spanId = isSampled ? randomHex(8) : undefined
      const state = parent?.state ?? ''
      const current: Current = { traceId, spanId, state, description: failed, hasEnded: false }
      try {
        return await storage.run(current, work)
      } finally {
        current.hasEnded = true
        if (spanId !== undefined) {
          const place = { traceId, spanId, parentId: parent?.parentId, state, isRemote: parent !== undefined }
          spans.add(encodeSpan({ ...place, startedAt }, current.description))
        }
      }
    },
    describe: (description) => {
      const current = storage.getStore()
      if (current) current.description = description
    },
    call: async (kind, work) => {
      const current = storage.getStore()
      // Work in the background that a request has started outlives it.
      if (current?.spanId === undefined || current.hasEnded) return work()
      const { traceId, spanId: parentId, state } = current
      const place = {
        traceId,
        spanId: randomHex(8),
        parentId,
        state,
        isRemote: false,
        startedAt: performance.now(),
      }
      try {
        const result = await work()
        spans.add(encodeSpan(place, kind.description))
        return result
      } catch (error) {
        const attributes = { ...kind.attributes, 'error.type': errorType(error) }
        spans.add(encodeSpan(place, describeSpan('client', { name: kind.name, attributes, hasFailed: true })))
        throw error
      }
    },
    detached: (work) => storage.run(undefined, work),
    traceId: () => storage.getStore()?.traceId,
    counts: spans.counts,
    close: spans.close,
  }
}

function decide(
  { ratio, followsParent }: Sampler,
  traceId: string,
  parent: TraceContext | undefined,
): boolean {
  if (followsParent && parent) return parent.isSampled
  // The same for all services of a trace. Trace Context Level 2 requires random digits at the end only.
  return Number.parseInt(traceId.slice(-13), 16) < ratio * 16 ** 13
}

/** A code or a class, because a message may contain data. */
function errorType(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER'
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : error.name
}

const pool = Buffer.alloc(4_096)
let used = pool.length

/** Random bytes in advance, because asking for a few costs as much as for many. */
function randomHex(bytes: 8 | 16): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += bytes
  return pool.toString('hex', used - bytes, used)
}
