// A model of PostgreSQL, two nodes of a cluster and a clock, for the real rules of a primary.
import type { ClusterRegistry, ClusterView, Primary } from '../../src/connection/cache/cluster-registry.ts'
import { createPrimaryRegistry } from '../../src/connection/cache/primary-registry.ts'
import {
  type CacheTrust,
  createCacheTrust,
  type Invalidation,
  renewEveryMs,
} from '../../src/connection/cache/trust.ts'
import type { Slots } from '../../src/connection/redis/slots.ts'
import type { Step } from './explore.ts'

/** As docs/reliability.md states it. */
export const boundMs = 2_500
export const tickMs = 625
/** The slot that moves. Each node also has one that never does. */
const slot = 0

const minus = (a: Set<number>, b: Set<number>) => new Set([...a].filter((slot) => !b.has(slot)))
const both = (a: Set<number>, b: Set<number>) => new Set([...a].filter((slot) => b.has(slot)))
const either = (a: Set<number>, b: Set<number>) => new Set([...a, ...b])
const touches = (a: Set<number>, b: Set<number>) => both(a, b).size > 0

type Node = {
  name: string
  epoch: number
  home: number
  /** Whether it believes to have the slot. */
  hasSlot: boolean
  /** The entry of the slot, by era. */
  entries: Map<string, number>
}
type Row = { server: string; epoch: number; era: string; slots: Set<number>; lost: Set<number> }

/** Leaves out a rule, to show that the model detects its absence. */
export type Broken = { epochs?: boolean; lost?: boolean; completion?: boolean }

export function openClusterModel(step: Step, ticks: number, broken: Broken = {}) {
  let now = 0
  let version = 1
  let eras = 0
  let ids = 0
  let rows: Row[] = []
  let records: Invalidation[] = []
  const acknowledged: { version: number; at: number }[] = []
  const node = (name: string, epoch: number, home: number): Node => ({
    name,
    epoch,
    home,
    hasSlot: false,
    entries: new Map(),
  })
  const nodes = { one: node('one', 1, 1), two: node('two', 2, 2) }
  nodes.one.hasSlot = true

  const expand = (slots: Slots) => new Set(slots.map(([from]) => from))
  const pack = (slots: Iterable<number>): Slots => [...slots].map((slot) => [slot, slot] as const)
  const registry: ClusterRegistry = {
    look: async ({ server, slots }, upTo): Promise<ClusterView> => {
      const reported = expand(slots)
      const own = rows.find((row) => row.server === server)
      const more = own ? minus(reported, own.slots) : reported
      const [rival] = rows.filter((row) => touches(row.slots, more)).sort((a, b) => b.epoch - a.epoch)
      return {
        other: undefined,
        isClusterRegistered: true,
        own: own && { era: own.era, slots: pack(both(own.slots, reported)) },
        hasMore: more.size > 0,
        hasLess: own !== undefined && minus(own.slots, reported).size > 0,
        hadLost: own !== undefined && !broken.lost && touches(own.lost, more),
        rival: rival && { server: rival.server, epoch: rival.epoch, era: rival.era },
        seen: rows
          .filter((row) => row.server === server || touches(row.slots, reported))
          .map(({ era }) => era),
        invalidations:
          own?.slots.has(slot) && reported.has(slot)
            ? records.filter(({ id }) => upTo === undefined || id <= upTo)
            : [],
        newest: records.at(-1)?.id,
      }
    },
    beginCluster: async () => {},
    release: async ({ server, slots }) => {
      for (const row of rows)
        if (row.server === server) {
          row.lost = either(row.lost, minus(row.slots, expand(slots)))
          row.slots = both(row.slots, expand(slots))
        }
    },
    take: async ({ server, epoch, slots }, seen, era) => {
      const taken = expand(slots)
      const present = rows.filter((row) => row.server === server || touches(row.slots, taken))
      if (present.map(({ era }) => era).join() !== seen.join()) return
      for (const row of rows) {
        if (row.server === server) continue
        row.lost = either(row.lost, both(row.slots, taken))
        row.slots = minus(row.slots, taken)
      }
      rows = rows.filter((row) => row.slots.size > 0)
      const own = rows.find((row) => row.server === server)
      if (era !== undefined) {
        if (own) own.slots = either(own.slots, taken)
        return
      }
      rows = rows.filter((row) => row.server !== server)
      rows.push({ server, epoch, era: `era ${++eras}`, slots: taken, lost: new Set() })
    },
    complete: async (done, era) => {
      const isCurrent = rows.some((row) => row.era === era && (row.slots.has(slot) || broken.completion))
      if (isCurrent) records = records.filter(({ id }) => !done.includes(id))
    },
  }
  const reportOf = ({ name, epoch, home, hasSlot }: Node): Primary => ({
    server: broken.epochs ? name : `${name}@${epoch}`,
    epoch,
    slots: pack(hasSlot ? [slot, home] : [home]),
  })
  const remove = (node: Node, era: string): void => {
    if (!node.hasSlot) throw new Error('MOVED')
    node.entries.delete(era)
  }

  /** A process with its assignment of the slot, as `cluster-servers.ts` keeps it. */
  const openProcess = () => {
    let owner: Node | undefined
    const trusts = new Map<Node, { trust: CacheTrust; renew(): Promise<void> }>()
    for (const node of Object.values(nodes)) {
      let reported = reportOf(node)
      const assign = (slots: Slots, isConfirmed: boolean) => {
        const has = slots.some(([from]) => from === slot)
        if (has && isConfirmed) owner = node
        else if (!has && owner === node) owner = undefined
      }
      const primary = createPrimaryRegistry({
        registry,
        report: () => reported,
        onLook: (slots) => assign(slots, false),
        now: () => now,
      })
      const trust = createCacheTrust(
        {
          connection: () => 0,
          identify: async () => {
            reported = reportOf(node)
            return reported.server
          },
          remove: async (era, keys) => {
            await step()
            if (keys.length > 0) remove(node, era)
          },
          reconnect: () => {},
        },
        primary,
        () => now,
      )
      const renew = async () => {
        await trust.renew()
        assign(primary.slots(), true)
      }
      trusts.set(node, { trust, renew })
    }
    const assigned = () => {
      const trust = owner && trusts.get(owner)?.trust
      return owner && trust ? { node: owner, trust } : undefined
    }
    return { assigned, trusts }
  }

  return {
    nodes,
    openProcess,
    runClock: async (mayGoOn = () => true) => {
      for (let tick = 0; tick < ticks; tick++) {
        await step(mayGoOn)
        now += tickMs
      }
    },
    now: () => now,
    keepTrust: async (process: ReturnType<typeof openProcess>, node: Node) => {
      for (let dueAt = 0; ; ) {
        await step(() => now >= dueAt)
        dueAt = now + renewEveryMs
        await process.trusts
          .get(node)
          ?.renew()
          .catch(() => {})
      }
    },
    /** As a renewal of another process, all at once. */
    settle: async (node: Node) => {
      const primary = createPrimaryRegistry({
        registry,
        report: () => reportOf(node),
        onLook: () => {},
        now: () => now,
      })
      for (let round = 0; round < 3; round++) {
        const { registered } = await primary.look(undefined)
        if (registered?.runId === reportOf(node).server) return
        await primary.beginEra(reportOf(node).server, registered?.era)
      }
    },
    /** Moves the slot and its keys. The epoch of the new owner becomes the highest. */
    move: (from: Node, to: Node): void => {
      from.hasSlot = false
      to.hasSlot = true
      for (const [era, entry] of from.entries) to.entries.set(era, entry)
      from.entries.clear()
      to.epoch = Math.max(to.epoch, from.epoch + 1)
    },
    /** Commits, removes the entry where this era's node has it, completes the record, and is acknowledged. */
    write: async (node: Node, era: string | undefined) => {
      version++
      const id = ++ids
      records.push({ id, keys: ['a-user'] })
      try {
        if (era === undefined) throw new Error('no era is known')
        remove(node, era)
        await registry.complete([id], era)
      } catch {}
      acknowledged.push({ version, at: now })
    },
    eraOf: ({ name }: Node) =>
      rows.find(({ server, slots }) => server.split('@')[0] === name && slots.has(slot))?.era,
    /** Reads by this process: complains if it would get something too old, and stores what it loads. */
    staleness: (process: ReturnType<typeof openProcess>): string | undefined => {
      const found = process.assigned()
      const era = found?.trust.readable()
      if (!found || era === undefined || !found.node.hasSlot) return undefined
      const cached = found.node.entries.get(era)
      if (cached === undefined) return void found.node.entries.set(era, version)
      for (const { version: newer, at } of acknowledged)
        if (newer > cached && now - at > boundMs)
          return `version ${cached} is served ${now - at} ms after version ${newer} was acknowledged`
      return undefined
    },
  }
}
