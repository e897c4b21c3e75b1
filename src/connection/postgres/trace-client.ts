// Traces the statements of a connection to PostgreSQL: prepared ones by name, others by their verb and tables.
import type pg from 'pg'
import { type CallKind, callKind } from '../../platform/tracing/span.ts'
import type { Tracer } from '../../platform/tracing/tracer.ts'

/** Replaces `query` of the client by one that traces. */
export function traceClient(client: pg.ClientBase, tracer: Tracer): void {
  const query = client.query.bind(client) as (...parameters: unknown[]) => unknown
  const traced = (...parameters: unknown[]): unknown => {
    const name = operationOf(parameters[0] as Statement)
    // A copy, or a caller with a callback, gets no promise that would show the end.
    return name === undefined || typeof parameters.at(-1) === 'function'
      ? query(...parameters)
      : tracer.call(statementKind(name), async () => query(...parameters))
  }
  Object.assign(client, { query: traced })
}

/** By name. The code names a bounded number of operations. */
const kinds = new Map<string, CallKind>()

/** @param name of the operation */
export function statementKind(name: string): CallKind {
  let kind = kinds.get(name)
  if (!kind) {
    kind = callKind(name, { 'db.system.name': 'postgresql' })
    kinds.set(name, kind)
  }
  return kind
}

type Statement = string | { name?: string | undefined; text?: string | undefined; submit?: unknown }

function operationOf(statement: Statement): string | undefined {
  if (typeof statement === 'string') return summaryOf(statement)
  const { name = '', text, submit } = statement
  if (submit !== undefined || text === undefined) return undefined
  return name === '' ? summaryOf(text) : name
}

// Later tables say little about an operation.
const examinedMax = 4_096
const tablesMax = 3

/**
 * A low-cardinality summary: https://opentelemetry.io/docs/specs/semconv/db/database-spans.
 * @returns such as `SELECT contacts users`, with the tables in the order of the text
 */
function summaryOf(text: string): string {
  const examined = text.slice(0, examinedMax)
  const verb = (/[a-z]+/i.exec(examined)?.[0] ?? 'SQL').toUpperCase()
  const tables = examined.matchAll(/\b(?:FROM|INTO|UPDATE)\s+"?([a-z_]+)/gi)
  const names = new Set([...tables].map(([, table = '']) => table))
  return [verb, ...[...names].slice(0, tablesMax)].join(' ')
}
