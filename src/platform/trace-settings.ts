// The settings of traces, for the Node server alone. They have the names and meanings of OpenTelemetry's specification:
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables.
import { itemsOf, matches, type Rule, web } from './setting-rules.ts'

export type Sampler = {
  /** The part of the traces that are sampled, from 0 to 1. */
  ratio: number
  /** Whether the caller's decision counts, if there is a caller. */
  followsParent: boolean
}

export type TraceSettings = {
  exporter: { url: string; headers: Record<string, string> }
  sampler: Sampler
  serviceName: string
}

const samplers = ['always_on', 'always_off', 'traceidratio'] as const
const parentPrefix = 'parentbased_'
const samplerNames = [...samplers.map((name) => parentPrefix + name), ...samplers]

const endpoint: Rule = (text) => {
  if (web(text) !== undefined) return web(text)
  const { username, password, search, hash } = new URL(text)
  return username + password + search + hash === ''
    ? undefined
    : 'must have no user, password or query; send secrets in OTEL_EXPORTER_OTLP_HEADERS'
}

const headers: Rule = (text) =>
  readHeaders(text) ? undefined : 'must be name=value pairs separated by commas, with percent-encoded values'

const rules = {
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_HEADERS: headers,
  OTEL_EXPORTER_OTLP_PROTOCOL: matches(/^http\/json$/, 'must be http/json, the only supported protocol'),
  OTEL_SERVICE_NAME: matches(/^[\x20-\x7e]{1,255}$/, 'must be printable ASCII characters'),
  OTEL_TRACES_SAMPLER: matches(
    new RegExp(`^(${samplerNames.join('|')})$`),
    `must be ${samplerNames.slice(0, -1).join(', ')} or ${samplerNames.at(-1)}`,
  ),
  OTEL_TRACES_SAMPLER_ARG: matches(/^(0(\.\d{1,9})?|1(\.0{1,9})?)$/, 'must be a number from 0 to 1'),
} satisfies Record<string, Rule>

export const traceSettingNames = Object.keys(rules)

/**
 * @param env the environment; an empty value means unset
 * @returns undefined if no collector is set
 * @throws Error that names every invalid variable, but no values, which may be secrets
 */
export function readTraceSettings(env: NodeJS.ProcessEnv): TraceSettings | undefined {
  const given: Partial<Record<keyof typeof rules, string>> = {}
  const faults: string[] = []
  for (const name of Object.keys(rules) as (keyof typeof rules)[]) {
    const value = env[name]
    if (!value?.trim()) continue
    const fault = rules[name](value)
    if (fault !== undefined) faults.push(`  ${name} ${fault}`)
    given[name] = value
  }
  if (faults.length > 0) throw new Error(`The settings are invalid:\n${faults.join('\n')}`)
  const endpoint = given.OTEL_EXPORTER_OTLP_ENDPOINT
  if (endpoint === undefined) return undefined
  const sampler = given.OTEL_TRACES_SAMPLER ?? 'parentbased_always_on'
  const ratio = sampler.endsWith('always_on')
    ? 1
    : sampler.endsWith('always_off')
      ? 0
      : Number(given.OTEL_TRACES_SAMPLER_ARG ?? 1)
  return {
    exporter: {
      url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
      headers: readHeaders(given.OTEL_EXPORTER_OTLP_HEADERS ?? '') ?? {},
    },
    sampler: { ratio, followsParent: sampler.startsWith(parentPrefix) },
    serviceName: given.OTEL_SERVICE_NAME ?? 'user-directory',
  }
}

/** @returns undefined if a pair is no HTTP header */
function readHeaders(text: string): Record<string, string> | undefined {
  const pairs: [string, string][] = []
  for (const item of itemsOf(text)) {
    const [name = '', ...rest] = item.split('=')
    const value = decode(rest.join('=').trim())
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name.trim()) || !/^[\x20-\x7e]+$/.test(value)) return undefined
    pairs.push([name.trim(), value])
  }
  return Object.fromEntries(pairs)
}

/** @returns empty text for text that is not percent-encoded */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}
