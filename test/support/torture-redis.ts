// The single Redis of a torture run, and the means to hurt it.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from './port.ts'
import { startProxy } from './proxy.ts'
import { type RedisServer, startRedis } from './redis.ts'

export type RedisStage = {
  redisUrl: string
  /** For the server that can be cut off. */
  proxiedUrl: string
  killRedis(): Promise<void>
  /** @param options.isEmpty without the data on disk */
  startRedis(options: { isEmpty: boolean }): Promise<void>
  signalRedis(signal: NodeJS.Signals): void
  /** Cuts one of the servers off from Redis until the returned function is called. */
  cutOff(): Promise<() => Promise<void>>
  /** Connects the same server to another Redis until the returned function is called. */
  mislead(): Promise<() => Promise<void>>
}

/** @param atEnd receives the steps to clean up */
export async function startSingleRedis(
  directory: string,
  atEnd: (step: () => Promise<unknown>) => void,
): Promise<RedisStage> {
  const port = await freePort()
  const dump = 'dump.rdb'
  const open = () => startRedis({ port, options: ['--dir', directory, '--dbfilename', dump] })
  let redis: RedisServer = await open()
  atEnd(() => redis.kill())
  const proxy = await startProxy({ host: '127.0.0.1', port })
  atEnd(proxy.close)
  const otherRedis = await startRedis()
  atEnd(() => otherRedis.kill())
  return {
    redisUrl: redis.url,
    proxiedUrl: `redis://127.0.0.1:${proxy.port}`,
    killRedis: () => redis.kill(),
    startRedis: async ({ isEmpty }) => {
      if (isEmpty) await rm(join(directory, dump), { force: true })
      redis = await open()
    },
    signalRedis: (signal) => void redis.process.kill(signal),
    cutOff: async () => {
      await proxy.refuse()
      return proxy.pass
    },
    mislead: async () => {
      await proxy.leadTo({ host: '127.0.0.1', port: otherRedis.port })
      return () => proxy.leadTo({ host: '127.0.0.1', port })
    },
  }
}

/** For a run on a cluster, whose faults know the cluster itself. */
export function clusterStage(url: string): RedisStage {
  const none = (): never => {
    throw new Error('this run has no single Redis')
  }
  return {
    redisUrl: url,
    proxiedUrl: url,
    killRedis: none,
    startRedis: none,
    signalRedis: none,
    cutOff: none,
    mislead: none,
  }
}
