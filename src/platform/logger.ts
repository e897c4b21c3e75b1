// Structured logs: one JSON line an event, on standard output. Why not pino: docs/adr/0007-write-our-own-log-lines.md.
import { logLevels, type Settings } from './settings.ts'

type Fields = Record<string, unknown>

/** Accepts fields, never whole bodies or headers, so that no secret can reach the log. */
export type Logger = {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
}

/**
 * The field names are those of Powertools for AWS Lambda, so that one query reads the logs of both entries.
 * @param options.sync writes each line immediately, because a function is frozen after its response
 * @param options.isShared other processes write to the same standard output
 * @returns `flush` resolves when all lines so far are written
 */
export function openLogger(
  level: Settings['logLevel'],
  { sync = false, isShared = false }: { sync?: boolean; isShared?: boolean } = {},
): Logger & { flush(): Promise<void> } {
  // A server batches lines in the background: one write for each would cost more than a cached read.
  const { put, flush } = sync ? { put: writeNow, flush: async () => {} } : openBackgroundWriter(isShared)
  const lineWriter = (lineLevel: Settings['logLevel']): Logger['info'] => {
    if (logLevels.indexOf(lineLevel) < logLevels.indexOf(level)) return () => {}
    const label = lineLevel.toUpperCase()
    return (message, fields = {}) => {
      const described =
        fields.error === undefined ? fields : { ...fields, error: describeError(fields.error) }
      // Concatenated, because the beginning of all lines is the same and there is a line for each request.
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

let formattedMs = 0
let formatted = ''

/** Formats the time once a millisecond, not once a line. */
function timestamp(): string {
  const now = Date.now()
  if (now !== formattedMs) {
    formattedMs = now
    formatted = new Date(now).toISOString()
  }
  return formatted
}

// Importing it as an ES module would also load streams and more, which takes time.
const { write, writeSync } = process.getBuiltinModule('node:fs')

const stdout = 1
// About fifty lines.
const batchCharacters = 12 * 1024
// The longest time until a line is written.
const batchMsMax = 100
// The most text that is buffered while the reader does not read. Further lines are lost.
const pendingCharactersMax = 16 * 1024 * 1024
// Linux writes this much to a pipe at once (PIPE_BUF). Only a longer line may be mixed with others.
const pipeBytesMax = 4_096
const lineFeed = 0x0a
const retryMs = 10
const syncRetriesMax = 100

function openBackgroundWriter(isShared: boolean): {
  put: (line: string) => void
  flush: () => Promise<void>
} {
  let pending = ''
  let writing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  const writeAll = async (): Promise<void> => {
    while (pending !== '') {
      let bytes = Buffer.from(pending)
      pending = ''
      while (bytes.length > 0) bytes = bytes.subarray(await writeSome(isShared ? wholeLines(bytes) : bytes))
    }
    writing = undefined
  }
  const start = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (pending !== '') writing ??= writeAll()
  }
  // Writes the remaining lines of a process that exits.
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

/** @returns the first lines, as many as a pipe takes without mixing them with the lines of other processes */
function wholeLines(bytes: Buffer): Buffer {
  if (bytes.length <= pipeBytesMax) return bytes
  const end = bytes.lastIndexOf(lineFeed, pipeBytesMax - 1)
  return bytes.subarray(0, (end === -1 ? bytes.indexOf(lineFeed) : end) + 1)
}

/** @returns the number of bytes that are written, or lost because the reader is gone */
function writeSome(bytes: Buffer): Promise<number> {
  return new Promise((done) => {
    write(stdout, bytes, 0, bytes.length, null, (error, written) => {
      if (!error) done(written)
      // The pipe is full.
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

// The details of a database error and the parameters of a query may contain users' data, so they are not logged.
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
