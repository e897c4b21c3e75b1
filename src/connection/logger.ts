// Structured logs: one JSON line an event, on standard output.
import { pino } from 'pino'
import type { Settings } from './settings.ts'

type Fields = Record<string, unknown>

/** Takes fields, never whole bodies or headers, so that no secret can reach a line. */
export type Logger = {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
}

// About fifty lines; sixteen KiB are the most that is written at once.
const batchBytes = 12 * 1024
// The longest that a line waits for others.
const batchMsMax = 100

/**
 * The field names are those of Powertools for AWS Lambda, so that one query reads both entries' logs.
 * @param options.sync each line is written at once: a function is frozen as soon as it has answered
 */
export function openLogger(
  level: Settings['logLevel'],
  { sync = false }: { sync?: boolean } = {},
): Logger & { flush(): void } {
  // Else in the background, many lines at a time: a write for each would cost as much as a cached read.
  const destination = pino.destination({
    fd: 1,
    sync,
    ...(!sync && { minLength: batchBytes, periodicFlush: batchMsMax }),
  })
  const lines = pino(
    {
      level,
      messageKey: 'message',
      base: { service: 'user-directory' },
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
      serializers: { error: describeError },
    },
    destination,
  )
  return {
    debug: (message, fields = {}) => lines.debug(fields, message),
    info: (message, fields = {}) => lines.info(fields, message),
    warn: (message, fields = {}) => lines.warn(fields, message),
    error: (message, fields = {}) => lines.error(fields, message),
    flush: () => destination.flushSync(),
  }
}

// A database error's `detail` and a query's parameters hold users' data: of an error only its kind,
// its message where that is ours or a driver's fixed text, and its stack are logged.
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) }
  const { code } = error as { code?: unknown }
  const isQuery = error.name === 'DrizzleQueryError' || error.message.startsWith('Failed query')
  return {
    name: error.name,
    ...(typeof code === 'string' && { code }),
    message: isQuery ? 'a query failed' : error.message,
    stack: isQuery ? undefined : error.stack,
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
  }
}
