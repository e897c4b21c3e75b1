// The faults of a torture run on a cluster of three primaries, each with a replica.
import { setTimeout as delay } from 'node:timers/promises'
import type { ClusterNode, RedisCluster } from './redis-cluster.ts'
import { boundMs, type Fault, faults } from './torture.ts'
import { until } from './wait.ts'

const slotsMoved = 400

export function clusterFaults(cluster: RedisCluster): Fault[] {
  const anyPrimary = async (): Promise<ClusterNode> => {
    const primaries = await until('three primaries', async () => {
      const primaries = await cluster.primaries()
      return primaries.length === 3 ? primaries : undefined
    })
    const primary = primaries[Math.floor(Math.random() * 3)]
    if (!primary) throw new Error('there are three')
    return primary
  }
  /** The primary whose replica this is; undefined for a primary. */
  const primaryIdOf = async ({ admin }: ClusterNode): Promise<string | undefined> => {
    const line = String(await admin.cluster('NODES'))
      .split('\n')
      .find((line) => line.includes('myself'))
    const id = line?.split(' ')[3]
    return id === '-' ? undefined : id
  }
  const replicaOf = (primary: ClusterNode) =>
    until(
      'a replica in sync',
      async () => {
        for (const node of cluster.nodes) {
          if (node === primary || (await primaryIdOf(node).catch(() => undefined)) !== primary.id) continue
          if ((await node.admin.info('replication')).includes('master_link_status:up')) return node
        }
        return undefined
      },
      30_000,
    )
  const replaced = (primary: ClusterNode) =>
    until(
      'the replica to take over',
      async () => {
        const primaries = await cluster.primaries()
        return primaries.length === 3 && !primaries.includes(primary)
      },
      30_000,
    )
  const isReplicaAgain = (node: ClusterNode) =>
    until(
      'the former primary to follow its replica',
      async () => (await primaryIdOf(node)) !== undefined,
      30_000,
    )

  const failover = (what: string, ...mode: string[]): Fault => ({
    what,
    isTrouble: true,
    inflict: async () => {
      // On a busy machine a replica may take over by itself meanwhile.
      const primary = await until('a replica to take over when asked', async () => {
        const primary = await anyPrimary()
        const { admin } = await replicaOf(primary)
        return admin.call('CLUSTER', 'FAILOVER', ...mode).then(
          () => primary,
          () => undefined,
        )
      })
      await replaced(primary)
      await isReplicaAgain(primary)
    },
  })

  return [
    {
      what: 'a primary is killed and replaced',
      isTrouble: true,
      inflict: async () => {
        const primary = await anyPrimary()
        await replicaOf(primary)
        await primary.kill()
        await replaced(primary)
        await cluster.restart(primary)
        await isReplicaAgain(primary)
      },
    },
    {
      what: 'a primary is killed and restarts before it is replaced',
      isTrouble: true,
      inflict: async () => {
        const primary = await anyPrimary()
        await primary.kill()
        await cluster.restart(primary)
      },
    },
    {
      what: 'a primary is paused, replaced and resumed',
      isTrouble: true,
      inflict: async () => {
        const primary = await anyPrimary()
        await replicaOf(primary)
        primary.process.kill('SIGSTOP')
        await replaced(primary)
        primary.process.kill('SIGCONT')
        await isReplicaAgain(primary)
      },
    },
    {
      what: 'a primary is paused shortly',
      isTrouble: true,
      inflict: async ({ faultMs }) => {
        const primary = await anyPrimary()
        primary.process.kill('SIGSTOP')
        await delay(faultMs / 2)
        primary.process.kill('SIGCONT')
      },
    },
    failover('a replica takes over in agreement with its primary'),
    failover('a replica takes over without its primary', 'FORCE'),
    failover('a replica takes over without an election', 'TAKEOVER'),
    {
      what: `${slotsMoved} slots are moved and come back`,
      isTrouble: true,
      inflict: async ({ faultMs }) => {
        const from = await anyPrimary()
        const to = await until('another primary', async () => {
          const other = await anyPrimary()
          return other === from ? undefined : other
        })
        const slots = (await cluster.slotsOf(from)).slice(0, slotsMoved)
        await cluster.move(slots, from, to)
        await delay(faultMs)
        await cluster.move(slots, to, from)
      },
    },
    {
      what: 'the move of slots is cancelled',
      isTrouble: true,
      inflict: async () => {
        const from = await anyPrimary()
        const to = await until('another primary', async () => {
          const other = await anyPrimary()
          return other === from ? undefined : other
        })
        const slots = (await cluster.slotsOf(from)).slice(0, slotsMoved)
        const cancel = await cluster.startMove(slots, from, to)
        await delay(boundMs)
        await cancel()
      },
    },
    {
      what: 'a primary is cut off from the other nodes and replaced',
      isTrouble: true,
      inflict: async ({ faultMs }) => {
        const primary = await anyPrimary()
        await replicaOf(primary)
        const heal = cluster.isolate(primary)
        try {
          await replaced(primary)
          await delay(faultMs)
        } finally {
          heal()
        }
        await isReplicaAgain(primary)
      },
    },
    {
      what: 'a primary answers reads and rejects writes (NOREPLICAS)',
      isTrouble: true,
      inflict: async ({ faultMs }) => {
        const { admin } = await anyPrimary()
        await admin.config('SET', 'min-replicas-to-write', 5)
        await delay(faultMs)
        await admin.config('SET', 'min-replicas-to-write', 0)
      },
    },
    ...faults.filter(({ what }) => !/Redis/.test(what)),
  ]
}
