// A Redis client for caching: it sends the commands of one event loop turn together, and fails fast without a
// connection. Why not a library: docs/adr/0005-keep-our-own-redis-client.md.
import { connect, isIP, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { createReplyReader, encode, type Part, RedisError, type Reply } from './protocol.ts'

export type RedisClient = {
  /** Whether there is an authenticated connection. */
  isReady(): boolean
  /**
   * Sends a command. Fails immediately without a connection. The server may have executed a failed command.
   * @throws RedisError for an error reply, another Error if no reply arrives in time
   */
  send(...command: Part[]): Promise<Reply>
  /** Runs a script, and sends its text only to a server that does not have it. @throws as `send` */
  run(script: Script, keys: string[], values: Part[]): Promise<Reply>
  /** Drops the connection; the next one resolves the server's name again. */
  reconnect(): void
  /** Fails pending commands, and closes the connection for good. */
  close(): void
}

/** `sha1` identifies the script on the server. It is computed on first use. */
export type Script = { lua: string; sha1: string | undefined }

export function script(lua: string): Script {
  return { lua, sha1: undefined }
}

export type RedisOptions = {
  /** Called for each connection; replaces the URL's password. */
  password?: () => Promise<string>
  /** A connection is open and authenticated. */
  onReady?: () => void
  /** A connection ended or could not be opened; the client opens another. */
  onLost?: (reason: Error) => void
}

const commandMsMax = 250
/** Until the connection is authenticated. */
const connectMsMax = 1_000
// A connection without a reply for this long is broken, even if the socket reports no error.
const stallMsMax = 5_000
/** The longest pause before reconnecting. */
const retryMsMax = 200
// More than the number of concurrent requests of a process.
const pendingMax = 50_000
const keepAliveMs = 10_000

/** @param url redis:// or rediss:// with user, password, and the database number as its path */
export function openRedis(url: string, { password, onReady, onLost }: RedisOptions = {}): RedisClient {
  const { protocol, hostname, port, pathname, ...user } = readUrl(url)
  /** The authenticated connection. */
  let ready: Connection | undefined
  /** The connection that is open or being opened. */
  let current: Connection | undefined
  let isClosed = false
  let failures = 0

  const openSocket = async (): Promise<Socket> => {
    const address = {
      host: hostname,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
    }
    if (protocol !== 'rediss:') return connect(address)
    // Loaded on demand, because it takes time to load.
    const tls = await import('node:tls')
    return tls.connect({ ...address, ...(isIP(hostname) === 0 && { servername: hostname }) })
  }

  /** Commands that must succeed before any other command is sent. */
  const setupCommands = async (): Promise<Part[][]> => {
    const secret = (await password?.()) ?? user.password
    return [
      ...(secret === '' ? [] : [user.username === '' ? ['AUTH', secret] : ['AUTH', user.username, secret]]),
      ...(pathname === '' || pathname === '0' ? [] : [['SELECT', pathname]]),
      // Fails while the server is still loading its data.
      ['PING'],
    ]
  }

  /** @returns why the connection ended */
  const attempt = async (): Promise<Error> => {
    const commands = await setupCommands()
    const connection = createConnection(await openSocket())
    current = connection
    if (isClosed) connection.end(closed())
    // The socket buffers the commands until it is connected.
    Promise.all(commands.map((command) => connection.send(command, connectMsMax))).then(
      () => {
        ready = connection
        failures = 0
        onReady?.()
      },
      (error: Error) => connection.end(error),
    )
    return connection.ended
  }

  const keepTrying = async (): Promise<void> => {
    while (!isClosed) {
      const reason = await attempt().catch((error: Error) => error)
      ready = undefined
      failures++
      onLost?.(reason)
      if (isClosed) return
      // Random, so that servers do not reconnect all at once.
      const pauseMs = Math.min(50 * failures, retryMsMax) * (0.5 + Math.random() / 2)
      await pause(pauseMs, undefined, { ref: false })
    }
  }
  void keepTrying()

  const send = (command: Part[]): Promise<Reply> =>
    ready ? ready.send(command, commandMsMax) : Promise.reject(new Error('there is no connection to Redis'))

  return {
    isReady: () => ready !== undefined,
    send: (...command) => send(command),
    run: (script, keys, values) => runScript(send, script, [keys.length, ...keys, ...values]),
    reconnect: () => current?.end(new Error('the connection was dropped to follow the server’s name')),
    close: () => {
      isClosed = true
      ready = undefined
      current?.end(closed())
    },
  }
}

/** As `RedisClient.run`, by any way to send a command. @param parameters the number of keys, the keys, and the values */
export async function runScript(
  send: (command: Part[]) => Promise<Reply>,
  script: Script,
  parameters: Part[],
): Promise<Reply> {
  script.sha1 ??= (await import('node:crypto')).hash('sha1', script.lua)
  try {
    return await send(['EVALSHA', script.sha1, ...parameters])
  } catch (error) {
    if (!(error instanceof RedisError) || error.code !== 'NOSCRIPT') throw error
    return send(['EVAL', script.lua, ...parameters])
  }
}

function readUrl(url: string) {
  const { protocol, hostname, port, pathname, username, password } = new URL(url)
  return {
    protocol,
    // Removes the brackets of an IPv6 address.
    hostname: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 6379),
    pathname: pathname.slice(1),
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
  }
}

function closed(): Error {
  return new Error('the client is closed')
}

type Connection = {
  /** @throws RedisError, or Error if no reply arrives in time or the connection ends */
  send(command: Part[], msMax: number): Promise<Reply>
  /** Fails all pending commands. */
  end(reason: Error): void
  /** Resolves with the reason when the connection ends. */
  ended: Promise<Error>
}

/** A command without a reply, in a linked list. */
type Pending = {
  resolve: (reply: Reply) => void
  reject: (error: Error) => void
  sentAt: number
  msMax: number
  next: Pending | undefined
}

function createConnection(socket: Socket): Connection {
  let end: Error | undefined
  // Replies arrive in the order of the commands, so the list is from the oldest to the newest.
  let first: Pending | undefined
  let last: Pending | undefined
  /** The oldest command that has not timed out; earlier ones only await their late replies. */
  let live: Pending | undefined
  let count = 0
  let unsent: Part[] = []
  let watch: NodeJS.Timeout | undefined
  let watchAt = 0

  const finish = (reason: Error): void => {
    if (end) return
    end = reason
    clearTimeout(watch)
    for (let left = first; left; left = left.next) left.reject(reason)
    first = last = live = undefined
    socket.destroy()
  }

  const read = createReplyReader((reply) => {
    const answered = first
    if (!answered) throw new Error('a reply arrived without a command')
    first = answered.next
    if (!first) last = undefined
    if (live === answered) live = first
    count--
    if (!(reply instanceof RedisError)) return answered.resolve(reply)
    answered.reject(reply)
    // The primary has become a replica, so the name now leads to another server.
    if (reply.code === 'READONLY') finish(reply)
  })

  socket.on('data', (chunk: Buffer) => {
    if (end) return
    try {
      read(chunk)
    } catch (error) {
      finish(new Error('the server does not speak the Redis protocol', { cause: error }))
    }
  })
  socket.on('error', finish)
  const ended = new Promise<Error>((done) => {
    socket.on('close', () => {
      finish(new Error('the server closed the connection'))
      done(end ?? closed())
    })
  })

  const expire = (): void => {
    watch = undefined
    const now = performance.now()
    for (; live && live.sentAt + live.msMax <= now; live = live.next)
      live.reject(new Error(`no answer from Redis within ${live.msMax} ms`))
    if (first && first.sentAt + stallMsMax <= now)
      finish(new Error(`no answer from Redis for ${stallMsMax} ms`))
    watchOldest()
  }
  const watchOldest = (): void => {
    const dueAt = live ? live.sentAt + live.msMax : first && first.sentAt + stallMsMax
    if (end || dueAt === undefined || (watch && watchAt <= dueAt)) return
    clearTimeout(watch)
    watchAt = dueAt
    // `setImmediate` lets arrived replies be read first, in case the event loop was blocked.
    watch = setTimeout(() => setImmediate(expire), Math.max(1, dueAt - performance.now()))
  }

  const flush = (): void => {
    const pieces = unsent
    unsent = []
    if (end) return
    // Joins adjacent text; buffers are written without copying.
    let text = ''
    socket.cork()
    for (const piece of pieces) {
      if (typeof piece === 'object') {
        if (text !== '') socket.write(text)
        text = ''
        socket.write(piece)
      } else text += piece
    }
    if (text !== '') socket.write(text)
    socket.uncork()
  }

  return {
    send: (command, msMax) => {
      if (end) return Promise.reject(end)
      if (count >= pendingMax) return Promise.reject(new Error('too many commands are waiting for Redis'))
      // Flushes after all commands of this event loop turn have been queued.
      if (unsent.length === 0) setImmediate(flush)
      unsent.push(...encode(command))
      return new Promise((resolve, reject) => {
        const pending: Pending = { resolve, reject, sentAt: performance.now(), msMax, next: undefined }
        if (last) last.next = pending
        else first = pending
        last = pending
        live ??= pending
        count++
        watchOldest()
      })
    },
    end: finish,
    ended,
  }
}
