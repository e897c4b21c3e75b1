// Presents one primary of a cluster to the trust rule as if it were the only server: docs/adr/0029. Knows neither Redis nor
// PostgreSQL, so that a test can explore every order.
import type { Slots } from '../redis/slots.ts'
import type { ClusterRegistry, ClusterView, Primary } from './cluster-registry.ts'
import type { CacheRegistry, Registry } from './trust.ts'

// A primary with an older epoch waits this long for one that is gone, such as after the cluster was rebuilt.
const contestedMsMax = 60_000

export type PrimaryRegistry = CacheRegistry & {
  /** The slots that the last look found registered for this primary. */
  slots(): Slots
}

/**
 * @param parts.report what the primary reported last
 * @param parts.onLook called with its registered slots before a renewal has confirmed them
 */
export function createPrimaryRegistry({
  registry,
  report,
  onLook,
  now = () => performance.now(),
}: {
  registry: ClusterRegistry
  report: () => Primary
  onLook: (slots: Slots) => void
  now?: () => number
}): PrimaryRegistry {
  let last: { view: ClusterView; primary: Primary } | undefined
  let slots: Slots = []
  let contestedAt: number | undefined

  const look = async (upTo: number | undefined, mayExtend = true): Promise<Registry> => {
    const primary = report()
    const view = await registry.look(primary, upTo)
    last = { view, primary }
    const { other, isClusterRegistered, own, rival, newest } = view
    slots = isClusterRegistered && !other && own ? own.slots : []
    onLook(slots)
    const found = (registered: Registry['registered']): Registry => ({
      registered,
      invalidations: registered?.runId === primary.server ? view.invalidations : [],
      newest,
    })
    if (other) return found(other)
    if (!isClusterRegistered) return found(undefined)
    const isContested = rival !== undefined && rival.epoch >= primary.epoch
    if (!isContested) contestedAt = undefined
    if (!own) return found(isContested ? { runId: rival.server, era: rival.era } : undefined)
    const registered = { runId: primary.server, era: own.era }
    // From now on, their old entries cannot be read even if the slots come back.
    if (view.hasLess) await registry.release(primary)
    if (!view.hasMore || !mayExtend) return found(registered)
    if (isContested) {
      contestedAt ??= now()
      return found(now() - contestedAt < contestedMsMax ? registered : undefined)
    }
    // The era must end, because it has old entries of these slots.
    if (view.hadLost) return found(undefined)
    await registry.take(primary, view.seen, own.era)
    // All records of the new slots are overdue.
    return look(undefined, false)
  }

  return {
    slots: () => slots,
    look: (upTo) => look(upTo),
    beginEra: async (_runId, seen) => {
      if (!last) throw new Error('an era begins after a look')
      const { view, primary } = last
      contestedAt = undefined
      if (view.other || !view.isClusterRegistered) await registry.beginCluster(seen)
      else await registry.take(primary, view.seen, undefined)
    },
    complete: registry.complete,
  }
}
