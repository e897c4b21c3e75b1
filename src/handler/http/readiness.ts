// The state of each dependency, for probes and for the console.
import type { Connections } from '../../connection/open.ts'
import { ReadOnlyDatabase } from '../../connection/postgres/database.ts'
import { ServiceError } from '../../model/errors.ts'
import { lagSecondsMax, outboxState } from '../../services/outbox/state.ts'

const checkMsMax = 1_500

export type Readiness = {
  status: 'ready' | 'not ready'
  dependencies: Record<string, State>
  outbox?: object | undefined
}

export async function readiness(connections: Connections): Promise<Readiness> {
  const { db, cache, avatars } = connections
  const outbox = describeOutbox(connections)
  const states = await Promise.all(
    Object.entries({ database: db, cache, avatars }).map(
      async ([name, dependency]) => [name, await stateOf(() => dependency.check())] as const,
    ),
  )
  const dependencies = Object.fromEntries(states)
  // Without the cache reads are slower, and without the avatar store uploads fail. Only the database is essential.
  const isReady = dependencies.database === 'up'
  return { status: isReady ? 'ready' : 'not ready', dependencies, outbox: await outbox }
}

/** The backlog for the user pool and the event bus. It does not make the server unready. */
async function describeOutbox(connections: Connections): Promise<object | undefined> {
  const { pool, bus } = connections.outbox
  if (!pool && !bus) return undefined
  try {
    const { pending, lagSeconds } = await outboxState(connections)
    const state = lagSeconds > lagSecondsMax ? 'lagging' : 'up'
    return { state, pending, oldest_seconds: Math.round(lagSeconds) }
  } catch {
    return { state: 'unknown' }
  }
}

type State = 'up' | 'read-only' | 'down'

async function stateOf(check: () => Promise<void>): Promise<State> {
  const timeout = AbortSignal.timeout(checkMsMax)
  return Promise.race([
    check().then(
      () => 'up' as const,
      (error: unknown): State => {
        if (!(error instanceof ServiceError)) return 'down'
        if (error.cause instanceof ReadOnlyDatabase) return 'read-only'
        // An overloaded dependency still works; removing this server from the balancer would not help.
        return error.code === 'overloaded' ? 'up' : 'down'
      },
    ),
    new Promise<'down'>((resolve) => timeout.addEventListener('abort', () => resolve('down'))),
  ])
}
