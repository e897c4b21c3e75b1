// Explores every order of the steps of the trust rule, a writer and the clock, while invalidations fail and reads
// succeed.
import { describe, expect, it } from 'vitest'
import {
  type CacheRegistry,
  type CacheTrust,
  createCacheTrust,
  type Invalidation,
  renewEveryMs,
} from '../../../src/connection/cache/trust.ts'
import { exploreOrders, type Step } from '../../support/explore.ts'

/** As docs/reliability.md states it. */
const boundMs = 2_500
// Between two renewals in step, and longer than what counts as one: both occur.
const tickMs = 625
const ticks = 6
const key = 'a-user'

/** A Redis server: one entry for each era, and whether it refuses removals. */
type Server = { runId: string; entries: Map<string, number>; refuses: boolean }

/** PostgreSQL, two servers and a clock. */
function openModel(step: Step, broken: Partial<CacheRegistry> = {}) {
  let now = 0
  let version = 1
  let ids = 0
  let eras = 1
  let registered: { runId: string; era: string } | undefined = { runId: 'one', era: 'era 1' }
  const records: Invalidation[] = []
  /** When each version was acknowledged. */
  const acknowledgedAt = new Map<number, number>()
  const servers: Record<'one' | 'two', Server> = {
    one: { runId: 'one', entries: new Map([['era 1', 1]]), refuses: false },
    two: { runId: 'two', entries: new Map(), refuses: false },
  }

  const registry: CacheRegistry = {
    look: async (upTo) => ({
      registered,
      invalidations: records.filter(({ id }) => upTo === undefined || id <= upTo),
      newest: records.at(-1)?.id,
    }),
    beginEra: async (runId, seen) => {
      if (registered?.era === seen) registered = { runId, era: `era ${++eras}` }
    },
    complete: async (ids, era) => {
      if (registered?.era !== era) return
      for (const id of ids) records.splice(0, records.length, ...records.filter((record) => record.id !== id))
    },
    ...broken,
  }

  /** One process, over a connection that leads to `server`. Others can come between its look and its removal. */
  const openProcess = (server: Server): CacheTrust =>
    createCacheTrust(
      {
        connection: () => 0,
        identify: async () => server.runId,
        remove: async (era, keys) => {
          await step()
          if (server.refuses) throw new Error('NOREPLICAS')
          if (keys.length > 0) server.entries.delete(era)
        },
        reconnect: () => {},
      },
      registry,
      () => now,
    )

  return {
    servers,
    records,
    registry,
    openProcess,
    now: () => now,
    /** @param mayGoOn keeps the number of orders small where something must have happened by a certain time */
    runClock: async (mayGoOn = () => true) => {
      for (let tick = 0; tick < ticks; tick++) {
        // Only what follows a write is of interest.
        await step(() => (tick === 0 || version > 1) && mayGoOn())
        now += tickMs
      }
    },
    /** Renews as a process does in the background, as late as the order of steps makes it. */
    keepTrust: async (trust: CacheTrust) => {
      for (let dueAt = 0; ; ) {
        await step(() => now >= dueAt)
        dueAt = now + renewEveryMs
        await trust.renew().catch(() => {})
      }
    },
    /** Commits with its record; removes the entry where it can; is then acknowledged. */
    write: async (writer: { trust: CacheTrust; server: Server }) => {
      await step()
      version++
      const id = ++ids
      records.push({ id, keys: [key] })
      const era = writer.trust.known()
      if (era !== undefined && !writer.server.refuses) {
        writer.server.entries.delete(era)
        writer.trust.done(id, era)
      }
      acknowledgedAt.set(version, now)
      return id
    },
    /** Complains if a read by this process would now be too old. */
    staleness: ({ trust, server }: { trust: CacheTrust; server: Server }): string | undefined => {
      const era = trust.readable()
      if (era === undefined) return undefined
      const cached = server.entries.get(era)
      // A reader that finds nothing loads the present version.
      if (cached === undefined) return void server.entries.set(era, version)
      for (const [newer, at] of acknowledgedAt)
        if (newer > cached && now - at > boundMs)
          return `version ${cached} is served ${now - at} ms after version ${newer} was acknowledged`
      return undefined
    },
  }
}

type Model = ReturnType<typeof openModel>
type Scene = (model: Model, wrap: (trust: CacheTrust) => CacheTrust, step: Step) => () => string | undefined

/** A reader in the background, and a writer that may be anywhere. */
const withReader =
  (prepare: (model: Model) => { trust: CacheTrust; server: Server }): Scene =>
  (model, wrap) => {
    const server = model.servers.one
    const reader = { trust: wrap(model.openProcess(server)), server }
    void model.runClock()
    void model.keepTrust(reader.trust)
    void model.write(prepare(model))
    return () => model.staleness(reader)
  }

/** It knows the era of its server, and does nothing in the background. */
const writerOn = (model: Model, server: Server, era: string) => ({
  trust: { ...model.openProcess(server), known: () => era },
  server,
})

const scenes: Record<string, Scene> = {
  'Redis answers reads and refuses removals': withReader((model) => {
    model.servers.one.refuses = true
    return writerOn(model, model.servers.one, 'era 1')
  }),
  'Redis begins to refuse removals while a process trusts it': withReader((model) => {
    const server = model.servers.one
    // From the moment of the write on: before that, the process trusts Redis.
    const refusing = {
      ...server,
      get refuses() {
        server.refuses = true
        return true
      },
    }
    return writerOn(model, refusing, 'era 1')
  }),
  'a writer is cut off from Redis': withReader((model) =>
    writerOn(model, { ...model.servers.one, refuses: true }, 'era 1'),
  ),
  'a writer is left on a server that others have replaced': (model, wrap, step) => {
    // The reader's connection leads to the new server; the writer still removes from the old one.
    const reader = { trust: wrap(model.openProcess(model.servers.two)), server: model.servers.two }
    const writer = writerOn(model, model.servers.one, 'era 1')
    let isCompleted = false
    void model.runClock(() => isCompleted || model.now() < 2 * tickMs)
    void model.keepTrust(reader.trust)
    void (async () => {
      const id = await model.write(writer)
      // Its next renewal deletes the record of what it removed.
      await step()
      await model.registry.complete([id], 'era 1')
      isCompleted = true
    })()
    return () => model.staleness(reader)
  },
}

const asItIs = (trust: CacheTrust) => trust

describe.each(Object.entries(scenes))('%s:', (_name, scene) => {
  it(`no order of steps serves anything older than ${boundMs} ms`, async () => {
    const { orders, complaint } = await exploreOrders((step) => ({
      complaint: scene(openModel(step), asItIs, step),
    }))
    expect(complaint).toBeUndefined()
    expect(orders).toBeGreaterThan(100)
  }, 180_000)
})

describe('the model detects', () => {
  const explore = (scene: Scene | undefined, wrap: (trust: CacheTrust) => CacheTrust, broken = {}) =>
    exploreOrders((step) => ({
      complaint: scene?.(openModel(step, broken), wrap, step) ?? (() => undefined),
    }))

  it('a process that keeps its trust when its renewal fails', async () => {
    const { complaint } = await explore(
      scenes['Redis begins to refuse removals while a process trusts it'],
      (trust) => {
        let era: string | undefined
        return {
          ...trust,
          readable: () => {
            era = trust.readable() ?? era
            return era
          },
        }
      },
    )
    expect(complaint).toMatch(/was acknowledged/)
  })

  it('a process whose trust lasts as long as nothing fails', async () => {
    const { complaint } = await explore(scenes['a writer is cut off from Redis'], (trust) => ({
      ...trust,
      readable: trust.known,
    }))
    expect(complaint).toMatch(/was acknowledged/)
  })

  it('a process that deletes a record after invalidating on a server that others have left', async () => {
    const { complaint } = await exploreOrders((step) => {
      const model = openModel(step, {
        complete: async (ids) => {
          for (const id of ids)
            model.records.splice(
              0,
              model.records.length,
              ...model.records.filter((record) => record.id !== id),
            )
        },
      })
      return {
        complaint:
          scenes['a writer is left on a server that others have replaced']?.(model, asItIs, step) ??
          (() => undefined),
      }
    })
    expect(complaint).toMatch(/was acknowledged/)
  })
})
