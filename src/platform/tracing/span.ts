// Encodes spans as OTLP's JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.

/** Names and values by the semantic conventions: https://opentelemetry.io/docs/specs/semconv. Never ids or content. */
export type Attributes = Record<string, string | number>

/** The part of a span that is the same for all spans of its kind, as JSON without braces. Encode it once. */
export type Description = string

const kinds = { server: 2, client: 3 }

export function describeSpan(
  kind: keyof typeof kinds,
  { name, attributes, hasFailed = false }: { name: string; attributes: Attributes; hasFailed?: boolean },
): Description {
  const status = hasFailed ? ',"status":{"code":2}' : ''
  return `"name":${JSON.stringify(name)},"kind":${kinds[kind]},"attributes":${encodeAttributes(attributes)}${status}`
}

/** A kind of call to another system, by the name of its operation. */
export type CallKind = { name: string; attributes: Attributes; description: Description }

/** Call it once for each kind, not for each call. */
export function callKind(name: string, attributes: Attributes): CallKind {
  return { name, attributes, description: describeSpan('client', { name, attributes }) }
}

export function encodeAttributes(attributes: Attributes): string {
  const list = Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? { stringValue: value } : { intValue: value },
  }))
  return JSON.stringify(list)
}

export type SpanPlace = {
  traceId: string
  spanId: string
  /** Undefined for the first span of a trace. */
  parentId: string | undefined
  state: string
  /** Whether the parent belongs to another service. */
  isRemote: boolean
  /** On the clock of `performance.now()`. */
  startedAt: number
}

// https://opentelemetry.io/docs/specs/otel/trace/api/#spancontext: sampled, and whether the parent's origin is known.
const localFlags = 0x101
const remoteFlags = 0x301

/** @returns a span that ends now */
export function encodeSpan(
  { traceId, spanId, parentId, state, isRemote, startedAt }: SpanPlace,
  description: Description,
): string {
  const parent = parentId === undefined ? '' : `"parentSpanId":"${parentId}",`
  const traceState = state === '' ? '' : `"traceState":${JSON.stringify(state)},`
  const times = `"startTimeUnixNano":"${nanoseconds(startedAt)}","endTimeUnixNano":"${nanoseconds(performance.now())}"`
  return `{"traceId":"${traceId}","spanId":"${spanId}",${parent}${traceState}"flags":${isRemote ? remoteFlags : localFlags},${times},${description}}`
}

/** @returns nanoseconds since the epoch, with a precision of a microsecond */
function nanoseconds(at: number): string {
  return `${Math.round((performance.timeOrigin + at) * 1_000)}000`
}
