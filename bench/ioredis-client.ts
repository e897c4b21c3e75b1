// The interface of the service's Redis client on ioredis, for clients.ts. Loaded with `--import`, it also replaces the
// service's own client.
import { registerHooks } from 'node:module'
import { Redis } from 'ioredis'
import type { RedisClient, RedisOptions, Script } from '../src/connection/redis/client.ts'
import { type Part, RedisError, type Reply } from '../src/connection/redis/protocol.ts'

registerHooks({
  resolve: (specifier, context, next) => {
    const found = next(specifier, context)
    return found.url.endsWith('/src/connection/redis/client.ts') ? { ...found, url: import.meta.url } : found
  },
})

export function script(lua: string): Script {
  return { lua, sha1: undefined }
}

/** ioredis in its fastest configuration: pipelined, with buffers as replies and the same time limits. */
export function openRedis(url: string, { onReady, onLost }: RedisOptions = {}): RedisClient {
  const redis = new Redis(url, {
    protocol: 2,
    enableAutoPipelining: true,
    commandTimeout: 250,
    connectTimeout: 1_000,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (tries) => Math.min(50 * tries, 200),
  })
  let reason = new Error('the server has closed the connection')
  redis.on('ready', () => onReady?.())
  redis.on('error', (error) => {
    reason = error
  })
  redis.on('close', () => onLost?.(reason))
  // `callBuffer` does not work here: with pipelining it sends the arguments without the command.
  const methods = redis as unknown as Record<string, (...values: Part[]) => Promise<Reply>>
  const send = async ([name, ...values]: Part[]): Promise<Reply> => {
    const method = methods[`${String(name).toLowerCase()}Buffer`]
    if (!method) throw new Error(`ioredis has no command ${name}`)
    try {
      return await method.apply(redis, values)
    } catch (error) {
      throw error instanceof Error && error.name === 'ReplyError' ? new RedisError(error.message) : error
    }
  }
  return {
    isReady: () => redis.status === 'ready',
    // The command of a cached read, without the cost of translating errors.
    send: (...command) => (command[0] === 'GET' ? redis.getBuffer(String(command[1])) : send(command)),
    run: ({ lua }, keys, values) => send(['EVAL', lua, keys.length, ...keys, ...values]),
    reconnect: () => redis.disconnect(true),
    close: () => redis.disconnect(),
  }
}
