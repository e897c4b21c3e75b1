// Reads by a key, side by side on one connection (pg's pipeline mode): three to five times as many a second as
// a pool's connections can do, which each carry one statement at a time. It is never needed: what it cannot do at
// once, or has not done in time, the pool does, with the pool's limits.
import pg from 'pg'

export type Pipeline = {
  /**
   * Runs a prepared statement that reads a few rows by a key.
   * @returns undefined when somebody else must do it: for want of a connection, or of an answer
   */
  read<Row extends pg.QueryResultRow>(
    name: string,
    text: string,
    values: unknown[],
  ): Promise<Row[] | undefined>
  close(): Promise<void>
}

// They wait for each other: behind more than this the pool's queue is the better place.
const underWayMax = 1_000
// A statement that takes so long holds up all behind it; the server or the way to it is in trouble.
const stallMsMax = 200
const restMs = 1_000

/** @param config how to connect. The connection is made at the first read */
export function openPipeline(config: pg.ClientConfig): Pipeline {
  /** One that is there, or being made. */
  let current: pg.Client | undefined
  let isReady = false
  let isClosed = false
  let restUntil = 0
  let underWay = 0
  let answers = 0
  let isCorked = false
  let watching: NodeJS.Timeout | undefined

  const connect = (): void => {
    const client = new pg.Client({ ...config, pipeline: true })
    const lost = (): void => {
      if (current !== client) return
      current = undefined
      isReady = false
      restUntil = performance.now() + restMs
      client.connection.stream.destroy()
    }
    client.on('error', lost).on('end', lost)
    current = client
    client.connect().then(() => {
      isReady = current === client
    }, lost)
  }

  /** Gives a connection up on which nothing is answered; its reads fail with it. */
  const watch = (client: pg.Client): void => {
    const before = answers
    watching = setTimeout(() => {
      // What has arrived is read before it is judged: the event loop may have been held up.
      setImmediate(() => {
        watching = undefined
        if (underWay === 0) return
        if (answers === before) client.connection.stream.destroy()
        else if (current) watch(current)
      })
    }, stallMsMax)
  }

  /** What is asked in one turn of the event loop goes out together. */
  const cork = (client: pg.Client): void => {
    if (isCorked) return
    isCorked = true
    const { stream } = client.connection
    stream.cork()
    setImmediate(() => {
      isCorked = false
      stream.uncork()
    })
  }

  return {
    read: async <Row extends pg.QueryResultRow>(name: string, text: string, values: unknown[]) => {
      if (!current && !isClosed && performance.now() >= restUntil) connect()
      if (!current || !isReady || underWay >= underWayMax) return undefined
      underWay++
      if (!watching) watch(current)
      cork(current)
      try {
        return (await current.query<Row>({ name, text, values })).rows
      } catch {
        // Whatever it was: the pool tries again, and says what is wrong if it still is.
        return undefined
      } finally {
        underWay--
        answers++
      }
    },
    close: async () => {
      isClosed = true
      const client = current
      current = undefined
      await client?.end()
    },
  }
}
