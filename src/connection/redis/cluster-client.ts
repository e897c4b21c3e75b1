// Sends commands to the node of a cluster that holds their key. It learns the nodes from their redirections.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding
import { waitWithin } from '../../platform/deadline.ts'
import { openRedis, type RedisClient, type RedisOptions, runScript, type Script } from './client.ts'
import { redirectionOf, urlOfNode } from './cluster-replies.ts'
import type { Part, Reply } from './protocol.ts'
import { slotCount, slotOf } from './slots.ts'

// While a slot is being moved, a command may meet ASK after MOVED.
const redirectionsMax = 3
const connectMsMax = 500

type Node = { redis: RedisClient; ready: Promise<void> }

/** @param url leads to any node of the cluster */
export function openRedisCluster(
  url: string,
  { password, onReady }: RedisOptions,
): Pick<RedisClient, 'isReady' | 'close'> & {
  /** Sends a command whose first argument is its key. @throws as `RedisClient.send` */
  send(name: string, key: string, ...more: Part[]): Promise<Reply>
  /** Runs a script with one key. @throws as `RedisClient.run` */
  run(script: Script, keys: [string], values: Part[]): Promise<Reply>
} {
  const { host, hostname } = new URL(url)
  const nodes = new Map<string, Node>()
  /** The addresses of the nodes that slots were redirected to. */
  const owners = new Array<string | undefined>(slotCount)

  const open = (address: string): Node => {
    const opened = nodes.get(address)
    if (opened) return opened
    const { promise, resolve } = Promise.withResolvers<void>()
    const redis = openRedis(urlOfNode(url, address), {
      ...(password && { password }),
      onReady: () => {
        resolve()
        onReady?.()
      },
    })
    const node = { redis, ready: promise }
    nodes.set(address, node)
    return node
  }
  open(host)

  const anyReady = (): Node | undefined => [...nodes.values()].find(({ redis }) => redis.isReady())

  const onKeyNode = async (
    key: string,
    work: (send: (command: Part[]) => Promise<Reply>) => Promise<Reply>,
  ): Promise<Reply> => {
    const slot = slotOf(key)
    const owner = owners[slot]
    let node = (owner === undefined ? undefined : nodes.get(owner)) ?? anyReady() ?? open(host)
    let isAsking = false
    for (let redirections = 0; ; redirections++) {
      const { redis, ready } = node
      if (!redis.isReady()) await waitWithin(ready, connectMsMax)
      const send = async (command: Part[]): Promise<Reply> => {
        if (!isAsking) return redis.send(...command)
        const [, reply] = await Promise.all([redis.send('ASKING'), redis.send(...command)])
        return reply
      }
      try {
        return await work(send)
      } catch (error) {
        const redirection = redirectionOf(error, hostname)
        if (redirection?.kind !== 'ASK') owners[slot] = redirection?.address
        if (!redirection || redirections === redirectionsMax) throw error
        isAsking = redirection.kind === 'ASK'
        node = open(redirection.address)
      }
    }
  }

  return {
    isReady: () => anyReady() !== undefined,
    send: (name, key, ...more) => onKeyNode(key, (send) => send([name, key, ...more])),
    run: (script, [key], values) => onKeyNode(key, (send) => runScript(send, script, [1, key, ...values])),
    close: () => {
      for (const { redis } of nodes.values()) redis.close()
    },
  }
}
