// Structured logs: one JSON line an event, on standard output. Why not pino: docs/adr/0007-write-our-own-log-lines.md.
import { logLevels, type Settings } from './settings.ts'

type Fields = Record<string, unknown>

/** Takes fields, never whole bodies or headers, so that no secret can reach a line. */
export type Logger = {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
}

/**
 * The field names are those of Powertools for AWS Lambda, so that one query reads both entries' logs.
 * @param options.sync each line is written at once: a function is frozen as soon as it has answered
 * @returns `flush` resolves when all lines so far are written
 */
export function openLogger(
  level: Settings['logLevel'],
  { sync = false }: { sync?: boolean } = {},
): Logger & { flush(): Promise<void> } {
  // Else in the background, many lines at a time: a write for each would cost more than a cached read.
  const { put, flush } = sync ? { put: writeNow, flush: async () => {} } : openBackgroundWriter()
  const lineWriter = (own: Settings['logLevel']): Logger['info'] => {
    if (logLevels.indexOf(own) < logLevels.indexOf(level)) return () => {}
    const label = own.toUpperCase()
    return (message, fields = {}) => {
      const described =
        fields.error === undefined ? fields : { ...fields, error: describeError(fields.error) }
      // The same begins each line: there is one for each request.
      const head = `{"level":"${label}","timestamp":"${timestamp()}","service":"user-directory"`
      const rest = JSON.stringify(described)
      put(`${head},"message":${JSON.stringify(message)}${rest === '{}' ? '' : ','}${rest.slice(1)}\n`)
    }
  }
  return {
    debug: lineWriter('debug'),
    info: lineWriter('info'),
    warn: lineWriter('warn'),
    error: lineWriter('error'),
    flush,
  }
}

let stampedMs = 0
let stamp = ''

/** Written anew for each millisecond, not for each line. */
function timestamp(): string {
  const now = Date.now()
  if (now !== stampedMs) {
    stampedMs = now
    stamp = new Date(now).toISOString()
  }
  return stamp
}

// Not imported: as an ES module it brings streams and more with it, which take their time to load.
const { write, writeSync } = process.getBuiltinModule('node:fs')

const stdout = 1
// About fifty lines.
const batchCharacters = 12 * 1024
// The longest that a line waits for others.
const batchMsMax = 100
// What is kept for a reader that has stopped reading; lines beyond it are lost.
const pendingCharactersMax = 16 * 1024 * 1024
const retryMs = 10
const syncRetriesMax = 100

function openBackgroundWriter(): { put: (line: string) => void; flush: () => Promise<void> } {
  let pending = ''
  let writing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  const writeAll = async (): Promise<void> => {
    while (pending !== '') {
      let bytes = Buffer.from(pending)
      pending = ''
      while (bytes.length > 0) bytes = bytes.subarray(await writeSome(bytes))
    }
    writing = undefined
  }
  const start = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (pending !== '') writing ??= writeAll()
  }
  // What a process that ends has not written yet.
  process.once('exit', () => {
    if (pending !== '') writeNow(pending)
  })
  return {
    put: (line) => {
      if (pending.length > pendingCharactersMax) return
      pending += line
      if (pending.length >= batchCharacters) start()
      else timer ??= setTimeout(start, batchMsMax).unref()
    },
    flush: async () => {
      start()
      await writing
    },
  }
}

/** @returns how many bytes need no more care: also those that nobody will ever read */
function writeSome(bytes: Buffer): Promise<number> {
  return new Promise((done) => {
    write(stdout, bytes, 0, bytes.length, null, (error, written) => {
      if (!error) done(written)
      // A pipe that is full.
      else if (error.code === 'EAGAIN') setTimeout(done, retryMs, 0)
      else done(bytes.length)
    })
  })
}

function writeNow(text: string): void {
  let bytes = Buffer.from(text)
  for (let retries = 0; bytes.length > 0 && retries < syncRetriesMax; ) {
    try {
      bytes = bytes.subarray(writeSync(stdout, bytes))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
      retries++
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs)
    }
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
