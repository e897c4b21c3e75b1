// Explores every order of the steps of a few readers, writers and evictions on the real reader and in-process cache.
// The Redis cache keeps the same contract (cache.test.ts), and its steps are as atomic as these.
import { expect, it } from 'vitest'
import type { Cache } from '../../../src/connection/cache/cache.ts'
import { openProcessCache } from '../../../src/connection/cache/process-cache.ts'
import type { Database } from '../../../src/connection/postgres/database.ts'
import { ServiceError } from '../../../src/model/errors.ts'
import { createUserReader, type UserReader } from '../../../src/services/users/read.ts'
import type { UserRow } from '../../../src/services/users/user-row.ts'
import { exploreOrders, type Step } from '../../support/explore.ts'

const id = '0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77'

/** The environment of one order of steps; `step` waits until it is the caller's turn. */
type Stage = {
  step: Step
  /** Two processes on one cache. */
  readers: [UserReader, UserReader]
  /** Commits a new version, or the erasure, removes the entry, and is then acknowledged. */
  write(kind: 'change' | 'erase'): Promise<void>
  evict(): Promise<void>
  /** Reads, and complains when what it gets is older than what had been acknowledged before it asked. */
  read(reader: UserReader): Promise<void>
}

type Actor = (stage: Stage) => Promise<void>

/** Runs the actors in every order. @returns how many orders there were, and the first complaint */
function explore(actors: Actor[], openCache: () => Cache = openProcessCache) {
  return exploreOrders((step) => {
    const { stage, complaint } = openStage(openCache(), step)
    for (const actor of actors) void actor(stage)
    return { complaint }
  })
}

function openStage(cache: Cache, step: Step): { stage: Stage; complaint: () => string | undefined } {
  let complaint: string | undefined
  let isBeginning = false

  // The database's history: a version, or undefined for the erased user.
  const history: (number | undefined)[] = [1]
  let acknowledged = 0
  const db = {
    readByKey: async (_name: string, _text: string, key: string) => {
      await step()
      const version = history.at(-1)
      return version === undefined ? undefined : { key, ...rowOf(version) }
    },
  } as Partial<Database> as Database
  const stepped: Cache = {
    ...cache,
    read: async (id) => {
      if (!isBeginning) await step()
      isBeginning = false
      return cache.read(id)
    },
    fill: async (id, lease, entry) => {
      await step()
      return cache.fill(id, lease, entry)
    },
  }
  const ctx = { db, cache: stepped, avatarBaseUrl: '' } as Parameters<typeof createUserReader>[0]
  const stage: Stage = {
    step,
    readers: [createUserReader(ctx), createUserReader(ctx)],
    write: async (kind) => {
      await step()
      history.push(kind === 'erase' ? undefined : history.length + 1)
      const mine = history.length - 1
      await step()
      await cache.invalidate(id, undefined)
      acknowledged = Math.max(acknowledged, mine)
    },
    evict: async () => {
      await step()
      await cache.invalidate(id, undefined)
    },
    read: async (reader) => {
      await step()
      // It begins with its look into the cache: what was acknowledged before that binds it.
      const since = acknowledged
      isBeginning = true
      const got = await reader.get(id).then(
        ({ version }) => version,
        (error: unknown) => {
          if (error instanceof ServiceError && error.code === 'not_found') return undefined
          throw error
        },
      )
      if (!history.slice(since).includes(got))
        complaint = `read ${got} of ${history.join(', ')}, of which ${history[since]} had been acknowledged`
    },
  }
  return { stage, complaint: () => complaint }
}

function rowOf(version: number): UserRow {
  const at = new Date(0)
  return {
    id,
    avatar: null,
    username: 'ada',
    name: null,
    status: 'ACTIVE',
    version,
    created_at: at,
    updated_at: at,
    contacts: [],
    external_id: null,
    attributes: {},
  }
}

const change: Actor = ({ write }) => write('change')
const erase: Actor = ({ write }) => write('erase')
const evict: Actor = ({ evict }) => evict()
const here: Actor = ({ read, readers }) => read(readers[0])
const there: Actor = ({ read, readers }) => read(readers[1])
const inTurn =
  (...actors: Actor[]): Actor =>
  async (stage) => {
    for (const actor of actors) await actor(stage)
  }

const scenes: Record<string, Actor[]> = {
  'a reader and a writer': [here, change],
  'two readers of one process and a writer': [here, here, change],
  'readers of two processes and a writer': [here, there, change],
  'a reader who comes back, and a writer': [inTurn(here, here), change],
  'a reader and two writers': [here, change, change],
  'a reader who comes back, and two writers in turn': [inTurn(here, here), inTurn(change, change)],
  'a reader, a writer and an eviction': [here, change, evict],
  'a reader, an erasure and a creation': [here, inTurn(erase, change)],
  'two readers and an erasure': [here, there, erase],
  'a reader after a writer, beside a slow reader': [there, inTurn(change, here)],
  'a reader after an eviction, beside a slow reader and a writer': [there, inTurn(evict, here), change],
  'readers of two processes, a writer and an eviction': [here, there, change, evict],
  'a reader who comes back, an erasure and a creation, and an eviction': [
    inTurn(here, here),
    inTurn(erase, change),
    evict,
  ],
  'readers of two processes and two writers': [here, there, change, change],
}

it.each(Object.entries(scenes))(
  'no stale read in any order: %s',
  async (_scene, actors) => {
    const { orders, complaint } = await explore(actors)
    expect(complaint).toBeUndefined()
    expect(orders).toBeGreaterThan(5)
  },
  180_000,
)

it('detects a cache that stores whatever a reader loads', async () => {
  const { complaint } = await explore([there, inTurn(change, here)], () => {
    const entries = new Map<string, Buffer>()
    return {
      ...openProcessCache(),
      read: async (id) => {
        const entry = entries.get(id)
        return entry ? { kind: 'hit', entry } : { kind: 'miss', lease: '' }
      },
      fill: async (id, _lease, entry) => {
        entries.set(id, entry)
        return entry
      },
      invalidate: async (ids) => void entries.delete(String(ids)),
    }
  })
  expect(complaint).toMatch(/had been acknowledged/)
})
