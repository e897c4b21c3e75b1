// A real cluster of Redis or Valkey for tests.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { startBusProxy } from './bus-proxy.ts'
import { freePort } from './port.ts'
import { type RedisServer, startRedis } from './redis.ts'
import { until } from './wait.ts'

const slotCount = 16_384
/** How long a node may be silent before the others replace it. */
const nodeTimeoutMs = 2_000

export type ClusterNode = RedisServer & { id: string; busPort: number; announcedPort: number; admin: Redis }

export type RedisCluster = {
  /** Leads to the first node. */
  url: string
  nodes: ClusterNode[]
  /** The nodes that hold slots now, by what a majority of the others says. */
  primaries(): Promise<ClusterNode[]>
  /** Starts a killed node again, with what it knew of the cluster. */
  restart(node: ClusterNode): Promise<void>
  slotsOf(node: ClusterNode): Promise<number[]>
  /** Moves slots with their keys, as `redis-cli --cluster reshard` does. */
  move(slots: number[], from: ClusterNode, to: ClusterNode): Promise<void>
  /** Moves the keys of slots until the returned function cancels that, and moves the keys back. */
  startMove(slots: number[], from: ClusterNode, to: ClusterNode): Promise<() => Promise<void>>
  /** Cuts a node off from all others, but not from clients, until the returned function is called. */
  isolate(node: ClusterNode): () => void
  close(): Promise<void>
}

/** @param options.replicas of each primary */
export async function startRedisCluster({ primaries = 3, replicas = 0 } = {}): Promise<RedisCluster> {
  const count = primaries * (1 + replicas)
  const directory = await mkdtemp(join(tmpdir(), 'redis-cluster-'))
  /** The nodes that are cut off from all others. */
  const isolated = new Set<string>()
  const idOf = new Map<number, string>()
  const proxies = await Promise.all(
    Array.from({ length: count }, async () => {
      const busPort = await freePort()
      const isCut = (sender: string) => isolated.has(sender) || isolated.has(idOf.get(busPort) ?? '')
      return { busPort, ...(await startBusProxy(busPort, isCut)) }
    }),
  )
  const open = async (
    port: number,
    { busPort, announcedPort }: Pick<ClusterNode, 'busPort' | 'announcedPort'>,
  ): Promise<ClusterNode> => {
    const server = await startRedis({
      port,
      options: [
        '--cluster-enabled',
        'yes',
        '--cluster-port',
        String(busPort),
        '--cluster-announce-bus-port',
        String(announcedPort),
        '--dir',
        directory,
        '--cluster-config-file',
        `nodes-${port}.conf`,
        '--dbfilename',
        `${port}.rdb`,
        '--cluster-node-timeout',
        String(nodeTimeoutMs),
        '--cluster-allow-replica-migration',
        'no',
        '--cluster-require-full-coverage',
        'no',
        '--repl-diskless-sync-delay',
        '0',
      ],
    })
    const admin = new Redis(server.url, { commandTimeout: 10_000 })
    admin.on('error', () => {})
    const id = String(await admin.cluster('MYID'))
    idOf.set(busPort, id)
    return { ...server, id, busPort, announcedPort, admin }
  }
  const nodes = await Promise.all(
    proxies.map(async ({ busPort, port }) => open(await freePort(), { busPort, announcedPort: port })),
  )
  const [first] = nodes
  if (!first) throw new Error('a cluster has nodes')

  for (const [at, node] of nodes.entries()) {
    await node.admin.cluster('SET-CONFIG-EPOCH', at + 1)
    if (at >= primaries) continue
    const from = Math.floor((at * slotCount) / primaries)
    const to = Math.floor(((at + 1) * slotCount) / primaries) - 1
    await node.admin.call('CLUSTER', 'ADDSLOTSRANGE', from, to)
  }
  for (const node of nodes)
    await first.admin.call('CLUSTER', 'MEET', '127.0.0.1', node.port, node.announcedPort)
  await until('the nodes to know each other', async () => {
    const lists = await Promise.all(nodes.map(({ admin }) => admin.cluster('NODES')))
    return lists.every((list) => String(list).trim().split('\n').length === count)
  })
  for (const [at, node] of nodes.entries())
    if (at >= primaries) await node.admin.cluster('REPLICATE', nodes[at % primaries]?.id ?? '')
  await until(
    'the cluster to be complete',
    async () => {
      const states = await Promise.all(
        nodes.map(async ({ admin }) => [
          String(await admin.cluster('INFO')),
          await admin.info('replication'),
        ]),
      )
      return states.every(
        ([info = '', replication = '']) =>
          info.includes('cluster_state:ok') &&
          (replication.includes('role:master') || replication.includes('master_link_status:up')),
      )
    },
    30_000,
  )

  return {
    url: `${first.url}?cluster=true`,
    nodes,
    primaries: async () => {
      const named = new Map<number, number>()
      for (const { admin, process } of nodes) {
        if (process.exitCode !== null || process.signalCode !== null) continue
        // A paused node does not answer.
        const answer = await Promise.race([admin.cluster('SLOTS'), pause(500, [])]).catch(() => [])
        const slots = answer as unknown as [number, number, [string, number]][]
        const ports = new Set(slots.map(([, , [, port]]) => port))
        for (const port of ports) named.set(port, (named.get(port) ?? 0) + 1)
      }
      return nodes.filter(({ port }) => (named.get(port) ?? 0) > count / 3)
    },
    restart: async (node) => {
      node.admin.disconnect()
      Object.assign(node, await open(node.port, node))
    },
    slotsOf: async ({ admin, id }) => {
      const ranges = (await admin.cluster('SLOTS')) as unknown as [number, number, [string, number, string]][]
      return ranges.flatMap(([from, to, [, , owner]]) =>
        owner === id ? Array.from({ length: to - from + 1 }, (_, at) => from + at) : [],
      )
    },
    move: async (slots, from, to) => {
      for (const slot of slots) {
        await to.admin.cluster('SETSLOT', slot, 'IMPORTING', from.id)
        await from.admin.cluster('SETSLOT', slot, 'MIGRATING', to.id)
        await moveKeys(slot, from, to)
        await to.admin.cluster('SETSLOT', slot, 'NODE', to.id)
        await from.admin.cluster('SETSLOT', slot, 'NODE', to.id)
      }
    },
    startMove: async (slots, from, to) => {
      for (const slot of slots) {
        await to.admin.cluster('SETSLOT', slot, 'IMPORTING', from.id)
        await from.admin.cluster('SETSLOT', slot, 'MIGRATING', to.id)
        await moveKeys(slot, from, to)
      }
      return async () => {
        for (const slot of slots) {
          await from.admin.cluster('SETSLOT', slot, 'STABLE')
          await moveKeys(slot, to, from)
          await to.admin.cluster('SETSLOT', slot, 'STABLE')
        }
      }
    },
    isolate: ({ id }) => {
      isolated.add(id)
      return () => void isolated.delete(id)
    },
    close: async () => {
      for (const { admin, kill } of nodes) {
        admin.disconnect()
        await kill()
      }
      for (const proxy of proxies) await proxy.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function moveKeys(slot: number, from: ClusterNode, to: ClusterNode): Promise<void> {
  for (;;) {
    const keys = (await from.admin.cluster('GETKEYSINSLOT', slot, 100)) as string[]
    if (keys.length === 0) return
    await from.admin.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'REPLACE', 'KEYS', ...keys)
  }
}
