// One primary of a cluster, with its own connection and its own trust.
import type { Logger } from '../../platform/logger.ts'
import type { RedisClient } from '../redis/client.ts'
import { ownSlotsOf, redirectionOf, slotRangesOf } from '../redis/cluster-replies.ts'
import { type Slots, slotOf } from '../redis/slots.ts'
import type { ClusterRegistry, Primary } from './cluster-registry.ts'
import { createPrimaryRegistry } from './primary-registry.ts'
import { clusterKeys } from './redis-keys.ts'
import { textOf } from './redis-replies.ts'
import { openTrustedServer, type TrustedServer } from './trust-renewal.ts'

export type ClusterPrimary = TrustedServer & {
  address: string
  /** The primaries of the cluster, as this one knows them; empty while it does not answer. */
  known(): string[]
}

/**
 * @param url of this node
 * @param parts.onKnown called when it has reported the cluster's primaries
 * @param parts.onSlots called with the slots that may be read from it. `isConfirmed` is false before the renewal has
 *   removed their overdue entries
 * @param parts.clientOf opens the connection to another node
 */
export function openClusterPrimary(
  url: string,
  {
    registry,
    logger,
    isFunction,
    onKnown,
    onSlots,
    clientOf,
  }: {
    registry: ClusterRegistry
    logger: Logger
    isFunction: boolean
    onKnown: () => void
    onSlots: (slots: Slots, isConfirmed: boolean) => void
    clientOf: (address: string) => RedisClient
  },
): ClusterPrimary {
  const { host, hostname } = new URL(url)
  let known: string[] = []
  let reported: Primary = { server: '', epoch: 0, slots: [] }
  let probe: { slot: number; key: string } | undefined

  const identify = async (redis: RedisClient): Promise<string> => {
    const [info, nodes, slots] = await Promise.all([
      redis.send('INFO', 'server'),
      redis.send('CLUSTER', 'NODES'),
      redis.send('CLUSTER', 'SLOTS'),
    ])
    known = [...new Set(slotRangesOf(slots, hostname).map(({ address }) => address))]
    onKnown()
    const own = ownSlotsOf(textOf(nodes))
    const [, runId] = /^run_id:(\w+)/m.exec(textOf(info)) ?? []
    if (runId === undefined) throw new Error('the cache reports no run_id')
    if (!own || own.slots.length === 0) throw new Error('this node of the cluster holds no slots')
    reported = { server: `${runId}@${own.epoch}`, epoch: own.epoch, slots: own.slots }
    return reported.server
  }

  const primaryRegistry = createPrimaryRegistry({
    registry,
    report: () => reported,
    onLook: (slots) => onSlots(slots, false),
  })

  const server = openTrustedServer(url, {
    registry: primaryRegistry,
    protocol: {
      identify: async (redis) => {
        try {
          return await identify(redis)
        } catch (error) {
          known = []
          onSlots([], false)
          throw error
        }
      },
      remove: async (redis, era, keys) => {
        await Promise.all(
          keys.map(async (key) => {
            const command = ['UNLINK', clusterKeys.redisKey(key, era)]
            try {
              await redis.send(...command)
            } catch (error) {
              const redirection = redirectionOf(error, hostname)
              if (redirection?.kind !== 'ASK') throw error
              // The slot is being moved and the key has gone ahead. It may come back if the move is cancelled.
              const target = clientOf(redirection.address)
              await Promise.all([target.send('ASKING'), target.send(...command)])
            }
          }),
        )
      },
      probe: () => {
        const slots = primaryRegistry.slots()
        if (!probe || !includes(slots, probe.slot)) probe = probeOf(slots)
        return probe.key
      },
      renewed: () => onSlots(primaryRegistry.slots(), true),
    },
    logger: withField(logger, { server: host }),
    isFunction,
  })

  // A node that is gone may have left a topology that is gone, too.
  return { ...server, address: host, known: () => (server.redis.isReady() ? known : []) }
}

function includes(slots: Slots, slot: number): boolean {
  return slots.some(([from, to]) => from <= slot && slot <= to)
}

/** Finds a key of one of these slots. */
function probeOf(slots: Slots): { slot: number; key: string } {
  for (let at = 0; at < 1_000_000; at++) {
    const key = `probe:${at}`
    const slot = slotOf(clusterKeys.redisKey(key, ''))
    if (includes(slots, slot)) return { slot, key }
  }
  throw new Error('none of the slots is registered for this primary yet')
}

function withField(logger: Logger, field: Record<string, unknown>): Logger {
  return {
    debug: (message, fields) => logger.debug(message, { ...field, ...fields }),
    info: (message, fields) => logger.info(message, { ...field, ...fields }),
    warn: (message, fields) => logger.warn(message, { ...field, ...fields }),
    error: (message, fields) => logger.error(message, { ...field, ...fields }),
  }
}
