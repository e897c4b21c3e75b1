// A client for one Redis or Valkey server, made for a cache: commands of one turn of the event loop go out together,
// each has a time limit, and none waits for a connection. Why not a library: docs/adr/0005-keep-our-own-redis-client.md.
import { connect, isIP, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { createReplyReader, encode, type Part, RedisError, type Reply } from './protocol.ts'

export type RedisClient = {
  /** Whether there is a connection that has been let in. */
  isReady(): boolean
  /**
   * Sends a command. Without a connection it fails at once; it may have been carried out also when it fails.
   * @throws RedisError for what the server refuses, another Error when the answer does not come in time
   */
  send(...command: Part[]): Promise<Reply>
  /** Runs a script, which is sent only to a server that does not know it. @throws as `send` */
  run(script: Script, keys: string[], values: Part[]): Promise<Reply>
  /** Drops the connection; the next one resolves the server's name again. */
  reconnect(): void
  /** Fails what waits for an answer, and ends the connection for good. */
  close(): void
}

/** The digest, by which a server knows it, is noted when it is first needed. */
export type Script = { lua: string; sha1: string | undefined }

export function script(lua: string): Script {
  return { lua, sha1: undefined }
}

export type RedisOptions = {
  /** Asked for each connection, instead of the URL's. */
  password?: () => Promise<string>
  /** A connection has been made and let in. */
  onReady?: () => void
  /** A connection has ended, or could not be made; another is tried. */
  onLost?: (reason: Error) => void
}

const commandMsMax = 250
/** From the first packet to the server's letting us in. */
const connectMsMax = 1_000
// A connection on which nothing is answered for so long is broken, though nobody has said so.
const stallMsMax = 5_000
/** The longest pause before the next try. */
const retryMsMax = 200
// More than a process has requests under way.
const waitingMax = 50_000
const keepAliveMs = 10_000

/** @param url redis:// or rediss:// with user, password, and the database's number as its path */
export function openRedis(url: string, { password, onReady, onLost }: RedisOptions = {}): RedisClient {
  const { protocol, hostname, port, pathname, ...user } = readUrl(url)
  /** One that has been let in. */
  let ready: Connection | undefined
  /** One that is there, or being made. */
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
    // Loaded where it is needed: it takes its time.
    const tls = await import('node:tls')
    return tls.connect({ ...address, ...(isIP(hostname) === 0 && { servername: hostname }) })
  }

  /** What a server must accept before it is asked anything else. */
  const greeting = async (): Promise<Part[][]> => {
    const secret = (await password?.()) ?? user.password
    return [
      ...(secret === '' ? [] : [user.username === '' ? ['AUTH', secret] : ['AUTH', user.username, secret]]),
      ...(pathname === '' || pathname === '0' ? [] : [['SELECT', pathname]]),
      // Refused by a server that is still reading its data.
      ['PING'],
    ]
  }

  /** @returns why the connection has ended */
  const attempt = async (): Promise<Error> => {
    const commands = await greeting()
    const connection = createConnection(await openSocket())
    current = connection
    if (isClosed) connection.end(closed())
    // The socket keeps them until it is connected.
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
      // Not all servers at once.
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
    run: async (script, keys, values) => {
      const { lua } = script
      script.sha1 ??= (await import('node:crypto')).hash('sha1', lua)
      try {
        return await send(['EVALSHA', script.sha1, keys.length, ...keys, ...values])
      } catch (error) {
        if (!(error instanceof RedisError) || error.code !== 'NOSCRIPT') throw error
        return send(['EVAL', lua, keys.length, ...keys, ...values])
      }
    },
    reconnect: () => current?.end(new Error('the connection was dropped to follow the server’s name')),
    close: () => {
      isClosed = true
      ready = undefined
      current?.end(closed())
    },
  }
}

function readUrl(url: string) {
  const { protocol, hostname, port, pathname, username, password } = new URL(url)
  return {
    protocol,
    // An IPv6 address without its brackets.
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
  /** @throws RedisError, or Error when there is no answer in time or the connection ends */
  send(command: Part[], msMax: number): Promise<Reply>
  /** Fails all that waits. */
  end(reason: Error): void
  /** Why it has ended, once it has. */
  ended: Promise<Error>
}

/** A command that has no reply yet. */
type Waiting = {
  resolve: (reply: Reply) => void
  reject: (error: Error) => void
  sentAt: number
  msMax: number
  next: Waiting | undefined
}

function createConnection(socket: Socket): Connection {
  let end: Error | undefined
  // Replies come in the order of the commands, so these are a list from the oldest to the newest.
  let first: Waiting | undefined
  let last: Waiting | undefined
  /** The oldest that is still in its time; those before it only keep the place of a reply that may yet come. */
  let timely: Waiting | undefined
  let count = 0
  let unsent: Part[] = []
  let watch: NodeJS.Timeout | undefined
  let watchAt = 0

  const finish = (reason: Error): void => {
    if (end) return
    end = reason
    clearTimeout(watch)
    for (let left = first; left; left = left.next) left.reject(reason)
    first = last = timely = undefined
    socket.destroy()
  }

  const read = createReplyReader((reply) => {
    const answered = first
    if (!answered) throw new Error('a reply came to no command')
    first = answered.next
    if (!first) last = undefined
    if (timely === answered) timely = first
    count--
    if (!(reply instanceof RedisError)) return answered.resolve(reply)
    answered.reject(reply)
    // A primary that has become a replica: the name leads to another server by now.
    if (reply.code === 'READONLY') finish(reply)
  })

  socket.on('data', (chunk: Buffer) => {
    if (end) return
    try {
      read(chunk)
    } catch (error) {
      finish(new Error('the server does not speak the protocol of Redis', { cause: error }))
    }
  })
  socket.on('error', finish)
  const ended = new Promise<Error>((done) => {
    socket.on('close', () => {
      finish(new Error('the server has closed the connection'))
      done(end ?? closed())
    })
  })

  const look = (): void => {
    watch = undefined
    const now = performance.now()
    for (; timely && timely.sentAt + timely.msMax <= now; timely = timely.next)
      timely.reject(new Error(`no answer from Redis within ${timely.msMax} ms`))
    if (first && first.sentAt + stallMsMax <= now)
      finish(new Error(`no answer from Redis for ${stallMsMax} ms`))
    watchOldest()
  }
  const watchOldest = (): void => {
    const dueAt = timely ? timely.sentAt + timely.msMax : first && first.sentAt + stallMsMax
    if (end || dueAt === undefined || (watch && watchAt <= dueAt)) return
    clearTimeout(watch)
    watchAt = dueAt
    // What has arrived is read before it is judged: the event loop may have been held up.
    watch = setTimeout(() => setImmediate(look), Math.max(1, dueAt - performance.now()))
  }

  const flush = (): void => {
    const pieces = unsent
    unsent = []
    if (end) return
    // Runs of text go out as one, buffers as they are.
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
      if (count >= waitingMax) return Promise.reject(new Error('too many commands wait for Redis'))
      // After what else this turn of the event loop brings.
      if (unsent.length === 0) setImmediate(flush)
      unsent.push(...encode(command))
      return new Promise((resolve, reject) => {
        const waiting: Waiting = { resolve, reject, sentAt: performance.now(), msMax, next: undefined }
        if (last) last.next = waiting
        else first = waiting
        last = waiting
        timely ??= waiting
        count++
        watchOldest()
      })
    },
    end: finish,
    ended,
  }
}
