// Decides when what Redis answers may be served. The rule, its proof and what it costs:
// docs/adr/0002-trust-in-the-cache.md. Knows neither Redis nor PostgreSQL, so that a test can explore every order.

/** The server that holds the cache, over the connection that is open now. */
export type CacheServer = {
  /** Grows with every new connection. */
  connection(): number
  /** @returns its run id, which differs after a restart and on every replica */
  identify(): Promise<string>
  /** Removes keys of an era. Without keys it still proves that the server executes removals. */
  remove(era: string, keys: string[]): Promise<void>
  /** Drops the connection; the next one follows the server's name anew. */
  reconnect(): void
}

/** The state of the cache in PostgreSQL, in one snapshot. */
export type Registry = {
  /** The server that every process uses; undefined before the first one registers it. */
  registered: { runId: string; era: string } | undefined
  /** Invalidations that are still to be done, oldest first, at most `invalidationsMax`. */
  invalidations: Invalidation[]
  /** The newest invalidation that is recorded; undefined without any. */
  newest: number | undefined
}

export type Invalidation = { id: number; keys: string[] }

export type CacheRegistry = {
  /** @param upTo limits the answer to invalidations up to this id; all when undefined */
  look(upTo: number | undefined): Promise<Registry>
  /** Registers the server and begins an era, unless another process has replaced `seen` meanwhile. */
  beginEra(runId: string, seen: string | undefined): Promise<void>
  /** Deletes invalidations that were done in `era`, if it is still the current one. */
  complete(ids: number[], era: string): Promise<void>
}

export type CacheTrust = {
  /** The era to read from; undefined while an entry could be stale. */
  readable(): string | undefined
  /** The era that this connection's server holds: where removals go. Undefined before it is known. */
  known(): string | undefined
  /**
   * Does recorded invalidations and extends the trust to `trustMs` from its start.
   * @throws Error when PostgreSQL does not answer, which lets the trust run out, or when the server does not do its
   *   part, which ends it
   */
  renew(): Promise<void>
  /** Ends the trust until the next renewal. Removals still go to the known era. */
  distrust(): void
  /** Ends the trust and forgets the era: the next connection may lead to another server. */
  disconnected(): void
  /** Remembers that an invalidation was done in `era`; the next renewal deletes its record. */
  done(id: number, era: string): void
}

/** How long a renewal lasts, counted from its start. */
const trustMs = 1_500
/** How often a process that runs in the background renews. */
export const renewEveryMs = 500
// A later renewal treats every record as overdue: see the record's proof.
const inStepMsMax = 1_000

export const invalidationsMax = 1_000
// A renewal that has more to do fails, and the next one goes on with the rest.
const roundsMax = 50
// Records that wait for the next renewal. Other processes find those beyond it.
const doneMax = 10_000

// Two servers behind one name would replace each other without end.
const takeOverPauseMs = { min: 1_000, max: 60_000 }

export function createCacheTrust(
  server: CacheServer,
  registry: CacheRegistry,
  now: () => number = () => performance.now(),
): CacheTrust {
  /** The server that the last renewal found behind this connection. */
  let known: { runId: string; era: string } | undefined
  let trustedUntil = Number.NEGATIVE_INFINITY
  let renewedAt = Number.NEGATIVE_INFINITY
  /** The newest invalidation that the last renewal saw. */
  let newestSeen: number | undefined
  let trustedConnection: number | undefined
  let completed: { id: number; era: string }[] = []
  let renewing: Promise<void> | undefined
  /** Grows whenever something fails: a renewal that began before proves nothing. */
  let doubts = 0
  let takenOverAt = Number.NEGATIVE_INFINITY
  let pauseMs = takeOverPauseMs.min

  const distrust = (): void => {
    doubts++
    trustedUntil = Number.NEGATIVE_INFINITY
  }

  const disconnected = (): void => {
    distrust()
    known = undefined
  }

  const onServer = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } catch (error) {
      distrust()
      throw error
    }
  }

  const takeOver = async (runId: string, registered: Registry['registered']): Promise<void> => {
    disconnected()
    if (registered) {
      // An open connection may lead to a server that others have left.
      if (trustedConnection === server.connection()) {
        server.reconnect()
        throw new Error('another cache server has been registered; following the name anew')
      }
      const sinceMs = now() - takenOverAt
      if (sinceMs < pauseMs)
        throw new Error(
          'other processes use another cache server: check that REDIS_URL leads all of them to the same one',
        )
      pauseMs = sinceMs > 4 * pauseMs ? takeOverPauseMs.min : Math.min(2 * pauseMs, takeOverPauseMs.max)
    }
    takenOverAt = now()
    await registry.beginEra(runId, registered?.era)
  }

  const renewOnce = async (): Promise<void> => {
    const startedAt = now()
    const connection = server.connection()
    let doubtsBefore = doubts
    const isInStep = startedAt - renewedAt <= inStepMsMax && startedAt < trustedUntil
    // The first sight of a record is left to the process that wrote it; the second is overdue.
    let upTo = isInStep ? newestSeen : undefined
    const runId = await onServer(server.identify())
    const mine = completed
    completed = []
    if (known?.runId === runId) {
      const { era } = known
      const ids = mine.filter((item) => item.era === era).map(({ id }) => id)
      // Before the look, which would find them again.
      if (ids.length > 0) await registry.complete(ids, era)
    }

    for (let round = 0; ; round++) {
      if (round === roundsMax) throw new Error('more invalidations are left than one renewal does')
      const { registered, invalidations, newest } = await registry.look(upTo)
      if (registered?.runId !== runId) {
        const takingOver = takeOver(runId, registered)
        // It ends the trust: what fails from here on still counts, and every record is overdue.
        doubtsBefore = doubts
        upTo = undefined
        await takingOver
        continue
      }
      await onServer(
        server.remove(
          registered.era,
          invalidations.flatMap(({ keys }) => keys),
        ),
      )
      if (invalidations.length > 0)
        await registry.complete(
          invalidations.map(({ id }) => id),
          registered.era,
        )
      if (invalidations.length === invalidationsMax) continue
      if (doubts !== doubtsBefore) throw new Error('the cache failed during the renewal')
      known = registered
      trustedUntil = startedAt + trustMs
      renewedAt = startedAt
      trustedConnection = connection
      newestSeen = newest ?? newestSeen ?? 0
      return
    }
  }

  return {
    readable: () => (now() < trustedUntil ? known?.era : undefined),
    known: () => known?.era,
    renew: () => {
      renewing ??= renewOnce().finally(() => {
        renewing = undefined
      })
      return renewing
    },
    distrust,
    disconnected,
    done: (id, doneIn) => {
      if (completed.length < doneMax) completed.push({ id, era: doneIn })
    },
  }
}
