// The Redis client: on a real server, over TLS, and on servers that misbehave.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openRedisCache } from '../../../src/connection/cache/redis-cache.ts'
import {
  openRedis,
  type RedisClient,
  type RedisOptions,
  script,
} from '../../../src/connection/redis/client.ts'
import { createReplyReader, encode, RedisError, type Reply } from '../../../src/connection/redis/protocol.ts'
import { type RedisServer, startRedis } from '../../support/redis.ts'
import { until } from '../../support/wait.ts'

function readAll(chunks: Buffer[]): Reply[] {
  const replies: Reply[] = []
  const read = createReplyReader((reply) => void replies.push(reply))
  for (const chunk of chunks) read(chunk)
  return replies
}

/** In the protocol's words, as a server says it. */
function spoken(reply: Reply): Buffer {
  if (reply === null) return Buffer.from('$-1\r\n')
  if (typeof reply === 'number') return Buffer.from(`:${reply}\r\n`)
  if (typeof reply === 'string') return Buffer.from(`+${reply}\r\n`)
  if (reply instanceof RedisError) return Buffer.from(`-${reply.message}\r\n`)
  if (Array.isArray(reply)) return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map(spoken)])
  return Buffer.concat([Buffer.from(`$${reply.length}\r\n`), reply, Buffer.from('\r\n')])
}

describe('a reply', () => {
  const replies: Reply[] = [
    'OK',
    -42,
    Buffer.from('a\r\nb\0ü'),
    Buffer.alloc(0),
    null,
    new RedisError('ERR no'),
    [],
    [1, [Buffer.from('x'), null, [[]]], new RedisError('ERR inner'), 'PONG'],
  ]
  const bytes = Buffer.concat(replies.map(spoken))

  it('is decoded the same wherever it is split', () => {
    for (let cut = 0; cut <= bytes.length; cut++)
      expect(readAll([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(replies)
    expect(readAll([...bytes].map((byte) => Buffer.of(byte)))).toEqual(replies)
  })

  it('of every type and length is decoded from chunks of every length', () => {
    const { reply } = fc.letrec<{ reply: Reply }>((tie) => ({
      reply: fc.oneof(
        { maxDepth: 4 },
        fc.constant(null),
        fc.integer(),
        fc.stringMatching(/^[ -~]{0,20}$/),
        fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        fc.array(tie('reply'), { maxLength: 5 }),
      ),
    }))
    fc.assert(
      fc.property(fc.array(reply), fc.array(fc.integer({ min: 1, max: 99 })), (replies, lengths) => {
        const bytes = Buffer.concat(replies.map(spoken))
        const chunks: Buffer[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const length = lengths[turn % lengths.length] ?? bytes.length
          chunks.push(bytes.subarray(at, at + length))
          at += length
        }
        expect(readAll(chunks)).toEqual(replies)
      }),
    )
  })

  it('that is long is decoded, up to a limit', () => {
    const long = Buffer.alloc(4_000_000, 'x')
    const bytes = spoken([long, 1])
    const chunks = Array.from({ length: Math.ceil(bytes.length / 1_000) }, (_, at) =>
      bytes.subarray(at * 1_000, (at + 1) * 1_000),
    )
    const [reply] = readAll(chunks) as [[Buffer, number]]
    expect([long.equals(reply[0]), reply[1]]).toEqual([true, 1])
  })

  it.each([
    ['of no kind', 'HTTP/1.1 400 Bad Request\r\n'],
    ['of a later protocol', '%1\r\n+a\r\n+b\r\n'],
    ['with a negative length', '$-2\r\n'],
    ['with a length that is none', '$1x\r\n'],
    ['without a length', '*\r\n'],
    ['with a huge text', '$536870912\r\n'],
    ['with a huge list', '*4294967295\r\n'],
    ['with a number of many digits', `:${'9'.repeat(20)}\r\n`],
    ['longer than they say', '$1\r\nabc\r\n'],
    ['with a line that does not end', `+${'x'.repeat(9_000)}`],
    ['with a line that ends wrong', '+OK\rX'],
    ['nested without end', '*1\r\n'.repeat(9)],
    ['too long in sum', '*3\r\n'.concat(`$2000000\r\n${'x'.repeat(2_000_000)}\r\n`.repeat(3))],
  ])('%s are refused', (_what, text) => {
    expect(() => readAll([Buffer.from(text)])).toThrow()
  })

  it('that rejects a command does not repeat its arguments', () => {
    const [error] = readAll([
      Buffer.from("-ERR unknown command 'X', with args beginning with: 'secret' \r\n"),
    ])
    expect(error).toMatchObject({ code: 'ERR', message: "ERR unknown command 'X'" })
  })
})

/** @returns the client, and why its connections have ended so far */
function open(url: string, options: RedisOptions = {}): { client: RedisClient; lost: Error[] } {
  const lost: Error[] = []
  const client = openRedis(url, { ...options, onLost: (reason) => void lost.push(reason) })
  onTestFinished(client.close)
  return { client, lost }
}

const ready = (client: RedisClient) => until('the connection', () => client.isReady())

describe('on a real server', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.kill())

  it('sends and receives bytes and text unchanged', async () => {
    const { client } = open(server.url)
    await ready(client)
    const values = [Buffer.from([0, 13, 10, 255]), Buffer.alloc(0), Buffer.alloc(1_000_000, 7)]
    for (const [at, value] of values.entries()) {
      expect(await client.send('SET', `ключ:${at}`, value, 'PX', 60_000)).toBe('OK')
      expect(await client.send('GET', `ключ:${at}`)).toEqual(value)
    }
    expect(await client.send('GET', 'nothing')).toBeNull()
    expect(await client.send('DBSIZE')).toBe(3)
    expect(await client.send('SCAN', 0, 'MATCH', 'none*')).toEqual([Buffer.from('0'), expect.any(Array)])
  })

  it('gives each of many concurrent commands its own reply', async () => {
    const { client } = open(server.url)
    await ready(client)
    const answers = await Promise.allSettled(
      Array.from({ length: 3_000 }, (_, at) =>
        at % 3 === 0 ? client.send('NO-SUCH-COMMAND') : client.send('ECHO', String(at)),
      ),
    )
    for (const [at, answer] of answers.entries())
      if (at % 3 === 0) expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'ERR' } })
      else expect(answer).toMatchObject({ value: Buffer.from(String(at)) })
  })

  it('runs a script whether or not the server has it', async () => {
    const { client } = open(server.url)
    await ready(client)
    const both = script('return {KEYS[1], ARGV[1]}')
    for (let turn = 0; turn < 2; turn++) {
      await client.send('SCRIPT', 'FLUSH')
      for (let call = 0; call < 2; call++)
        expect(await client.run(both, ['key'], [Buffer.from([255])])).toEqual([
          Buffer.from('key'),
          Buffer.from([255]),
        ])
    }
    await expect(client.run(script('return no.such'), [], [])).rejects.toThrow(RedisError)
  })

  it('logs in with the user, password and database of the URL', async () => {
    const { client: root } = open(server.url)
    await ready(root)
    await root.send('ACL', 'SETUSER', 'päul', 'on', '>p@ss/word', '~*', '+@all')
    const port = `127.0.0.1:${server.port}`
    const { client } = open(`redis://p%C3%A4ul:p%40ss%2Fword@${port}/3`)
    await ready(client)
    expect(await client.send('ACL', 'WHOAMI')).toEqual(Buffer.from('päul'))
    await client.send('SET', 'only here', 1)
    expect(await root.send('EXISTS', 'only here')).toBe(0)

    const { client: stranger, lost } = open(`redis://p%C3%A4ul:wrong@${port}`)
    await until('two refusals', () => lost.length >= 2)
    expect(lost[0]).toMatchObject({ code: 'WRONGPASS' })
    expect(stranger.isReady()).toBe(false)
    await root.send('ACL', 'SETUSER', 'päul', '>wrong')
    await ready(stranger)
  })

  it('reconnects after a restart; meanwhile commands fail at once', async () => {
    const first = await startRedis()
    const { client, lost } = open(first.url)
    await ready(client)
    await first.kill()
    await until('the loss', () => lost.length > 0)
    await expect(client.send('PING')).rejects.toThrow('no connection')
    const second = await startRedis({ port: first.port })
    onTestFinished(second.kill)
    await ready(client)
    expect(await client.send('PING')).toBe('PONG')
  })

  describe('over TLS', () => {
    const file = (name: string) => readFileSync(join('test/support/tls', name))
    let port: number
    beforeAll(async () => {
      const options = { key: file('server-key.pem'), cert: file('server.pem') }
      const front = tls.createServer(options, (socket) => {
        const behind = connect(server.port, '127.0.0.1')
        for (const side of [socket, behind]) side.on('error', () => {})
        socket.pipe(behind).pipe(socket)
      })
      front.on('tlsClientError', () => {})
      port = await listen(front)
      afterAll(() => void front.close())
    })

    it('requires a certificate of a trusted authority that matches the server’s name', async () => {
      const { lost } = open(`rediss://localhost:${port}`)
      await until('the refusal', () => lost.length > 0)
      expect(lost[0]).toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })

      tls.setDefaultCACertificates([...tls.getCACertificates('default'), file('ca.pem').toString()])
      const { client } = open(`rediss://localhost:${port}`)
      await ready(client)
      expect(await client.send('PING')).toBe('PONG')

      const { lost: other } = open(`rediss://127.0.0.1:${port}`)
      await until('the refusal', () => other.length > 0)
      expect(other[0]).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    })
  })
})

async function listen(server: Server): Promise<number> {
  server.listen(0, 'localhost')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/**
 * A server that accepts every login and replies as the test specifies.
 * @param answer is called with each later command; undefined sends no reply
 * @returns the URL, and the received commands and chunks
 */
async function startFake(
  answer: (command: string[], socket: Socket) => string | undefined,
  greet: (command: string[]) => string | undefined = () => '+OK\r\n',
): Promise<{ url: string; commands: string[][]; chunks: number[] }> {
  const commands: string[][] = []
  const chunks: number[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    let isIn = false
    const read = createReplyReader((reply) => {
      const command = (reply as Buffer[]).map(String)
      commands.push(command)
      const said = isIn ? answer(command, socket) : greet(command)
      if (command[0] === 'PING') isIn = true
      if (said !== undefined) socket.write(said)
    })
    socket.on('data', (chunk) => {
      chunks.push(chunk.length)
      read(chunk)
    })
  })
  const port = await listen(server)
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `redis://localhost:${port}`, commands, chunks }
}

describe('on a server that', () => {
  it('splits its replies at every byte is understood', async () => {
    const { url } = await startFake((_command, socket) => {
      const bytes = spoken([Buffer.from('grüße'), null, 7])
      const next = (at: number) => {
        if (at < bytes.length) socket.write(bytes.subarray(at, at + 1), () => setImmediate(next, at + 1))
      }
      next(0)
      return undefined
    })
    const { client } = open(url)
    await ready(client)
    expect(await client.send('ANYTHING')).toEqual([Buffer.from('grüße'), null, 7])
  })

  it('receives concurrent commands in one write', async () => {
    const { url, chunks } = await startFake(() => '+OK\r\n')
    const { client } = open(url)
    await ready(client)
    chunks.length = 0
    await Promise.all(Array.from({ length: 100 }, (_, at) => client.send('GET', `key:${at}`)))
    expect(chunks).toHaveLength(1)
  })

  it.each([
    ['answers with garbage', () => 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['announces a huge answer', () => '$4294967295\r\n'],
    ['sends replies without commands', () => '+OK\r\n+OK\r\n+OK\r\n'],
    ['answers half and goes', (_: unknown, socket: Socket) => void socket.end('$10\r\nhalf')],
    ['goes without an answer', (_: unknown, socket: Socket) => void socket.destroy()],
  ])('%s loses the connection, and fails pending commands', async (_what, answer) => {
    const { url } = await startFake((command, socket) =>
      command[0] === 'FIRST' ? (answer(command, socket) ?? undefined) : undefined,
    )
    const { client, lost } = open(url)
    await ready(client)
    await Promise.allSettled([client.send('FIRST'), client.send('SECOND')])
    await until('the loss', () => lost.length > 0)
    await ready(client)
  })

  it('never replies makes each command time out, and finally loses the connection', async () => {
    const { url } = await startFake(() => undefined)
    const { client, lost } = open(url)
    await ready(client)
    const startedAt = performance.now()
    await expect(client.send('GET', 'a')).rejects.toThrow('no answer from Redis within 250 ms')
    // Not the limit of a connection, which is longer.
    expect(performance.now() - startedAt).toBeLessThan(900)
    expect(client.isReady()).toBe(true)
    await until('the loss', () => lost.length > 0)
    expect(lost[0]?.message).toBe('no answer from Redis for 5000 ms')
  })

  it('replies late does not answer another command', async () => {
    let isAwake = false
    let wake = () => {}
    const { url } = await startFake(([, text], socket) => {
      if (isAwake) return `+${text}\r\n`
      wake = () => {
        isAwake = true
        socket.write(`+${text}\r\n`)
      }
      return undefined
    })
    const { client } = open(url)
    await ready(client)
    await expect(client.send('ECHO', 'first')).rejects.toThrow('no answer')
    wake()
    expect(await client.send('ECHO', 'second')).toBe('second')
  })

  it('accepts a connection but stays silent is given up', async () => {
    const { url } = await startFake(
      () => undefined,
      () => undefined,
    )
    const { client, lost } = open(url)
    await until('the loss', () => lost.length > 0)
    expect(lost[0]?.message).toBe('no answer from Redis within 1000 ms')
    expect(client.isReady()).toBe(false)
  })

  it.each([
    ['refuses the password', '-WRONGPASS invalid username-password pair or user is disabled.\r\n'],
    ['is still loading', '-LOADING Redis is loading the dataset in memory\r\n'],
  ])('%s is tried again, until it lets us in', async (_what, refusal) => {
    let turns = 0
    const { url, commands } = await startFake(
      () => '+OK\r\n',
      ([name]) => (name === 'AUTH' && ++turns < 3 ? refusal : '+OK\r\n'),
    )
    let passwords = 0
    const { client, lost } = open(url.replace('//', '//me@'), {
      password: async () => `secret-${++passwords}`,
    })
    await ready(client)
    expect(lost).toHaveLength(2)
    expect(String(lost)).not.toContain('secret')
    expect(commands.filter(([name]) => name === 'AUTH')).toEqual([
      ['AUTH', 'me', 'secret-1'],
      ['AUTH', 'me', 'secret-2'],
      ['AUTH', 'me', 'secret-3'],
    ])
  })

  it('is part of a cluster rejects keys of other nodes', async () => {
    const { url } = await startFake(() => '-MOVED 3999 127.0.0.1:6381\r\n')
    const { client } = open(url)
    await ready(client)
    await expect(client.send('GET', 'a')).rejects.toMatchObject({ name: 'RedisError', code: 'MOVED' })
    expect(client.isReady()).toBe(true)
  })

  it('has become a replica is left for the new primary', async () => {
    let isReplica = true
    const { url } = await startFake(() =>
      isReplica ? "-READONLY You can't write against a read only replica.\r\n" : '+OK\r\n',
    )
    const { client, lost } = open(url)
    await ready(client)
    await expect(client.send('SET', 'a', 'b')).rejects.toMatchObject({ code: 'READONLY' })
    isReplica = false
    await until('the loss', () => lost.length > 0)
    await ready(client)
    expect(await client.send('SET', 'a', 'b')).toBe('OK')
  })

  it('cannot be reached is retried, with a new password each time', async () => {
    const server = createServer()
    const port = await listen(server)
    server.close()
    await once(server, 'close')
    let calls = 0
    const { client, lost } = open(`redis://localhost:${port}`, {
      password: async () => {
        if (++calls % 2 === 0) throw new Error('no credentials')
        return 'x'
      },
    })
    await until('four tries', () => lost.length >= 4)
    expect(lost.map(({ message }) => message === 'no credentials').slice(0, 4)).toEqual([
      false,
      true,
      false,
      true,
    ])
    await expect(client.send('PING')).rejects.toThrow('no connection')
  })
})

it('a closed client fails pending commands and does not reconnect', async () => {
  const { url, commands } = await startFake(() => undefined)
  const { client, lost } = open(url)
  await ready(client)
  const waiting = client.send('GET', 'a')
  client.close()
  await expect(waiting).rejects.toThrow('the client is closed')
  await until('the end', () => lost.length > 0)
  await expect(client.send('GET', 'a')).rejects.toThrow()
  const { client: hasty, lost: ended } = open(url)
  hasty.close()
  await until('the end', () => ended.length > 0)
  expect([client.isReady(), hasty.isReady(), lost.length]).toEqual([false, false, 1])
  expect(commands.filter(([name]) => name === 'PING').length).toBeLessThanOrEqual(2)
})

it('encodes a command by the byte lengths of its parts', () => {
  const bytes = Buffer.concat(
    encode(['SET', 'ü', Buffer.of(13, 10), 5]).map((piece) => Buffer.from(piece as string)),
  )
  expect(bytes).toEqual(Buffer.from('*4\r\n$3\r\nSET\r\n$2\r\nü\r\n$2\r\n\r\n\r\n$1\r\n5\r\n'))
})

it('a reader that joins a wait for a load looks again itself', async () => {
  const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`
  let gets = 0
  const { url } = await startFake(([name]) => {
    if (name === 'INFO') return bulk('run_id:abc\r\n')
    if (name !== 'GET') return '+OK\r\n'
    gets++
    if (gets === 1) return bulk('Lone:1')
    // The first one's second look. Its answer is on the way …
    if (gets === 2) return undefined
    // … when a write removes the entry, and a third reader leaves a lease.
    return gets === 3 ? bulk('1\n{}') + bulk('Ltwo:1') : bulk('Ltwo:1')
  })
  const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  const registry = { runId: 'abc', era: 'one', isStandby: false, newest: null, invalidations: [] }
  const db = { of: () => ({ query: async () => [registry] }) } as never
  const cache = openRedisCache(url, { db, logger: quiet })
  onTestFinished(() => cache.close())
  await cache.check()
  const first = cache.read('id')
  await until('the second look', () => gets === 2)
  expect(await cache.read('id')).toEqual({ kind: 'miss', lease: 'Ltwo:1' })
  await first
})
