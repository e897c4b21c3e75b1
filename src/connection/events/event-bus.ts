// Publishes domain events on an EventBridge bus.
import { attemptLimits, openAwsClient } from '../aws/aws-client.ts'

/** `detail` is JSON. */
export type BusEntry = { type: string; detail: string; time: Date }

export type EventBus = {
  /**
   * Publishes any number of events; each may fail on its own. Never throws.
   * @returns for each event true, or the reason of its failure
   */
  publish(entries: BusEntry[], signal: AbortSignal): Promise<(true | Error)[]>
  close(): Promise<void>
}

const requestMsMax = 3_000
const callMsMax = 4_000
// The limits of one PutEvents call. An entry's size is its UTF-8 bytes, plus 14 for its time.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
const entriesMax = 10
const bytesMax = 256 * 1024
const source = 'user-directory'

export function openEventBus(name: string): EventBus {
  const client = openAwsClient(
    () => import('@aws-sdk/client-eventbridge'),
    ({ EventBridgeClient }) =>
      // The outbox retries.
      new EventBridgeClient({ maxAttempts: 1, requestHandler: attemptLimits(requestMsMax) }),
  )

  const put = async (entries: BusEntry[], signal: AbortSignal): Promise<(true | Error)[]> => {
    const Entries = entries.map(({ type, detail, time }) => ({
      EventBusName: name,
      Source: source,
      DetailType: type,
      Detail: detail,
      Time: time,
    }))
    try {
      const { Entries: results = [] } = await client.call(
        (sdk, bus, limit) => bus.send(new sdk.PutEventsCommand({ Entries }), limit),
        callMsMax,
        signal,
      )
      // The response's entries are in the order of the request's.
      return entries.map((_, at) => {
        const { EventId, ErrorCode = 'no result' } = results[at] ?? {}
        return EventId !== undefined || new Error(`the bus rejected the event: ${ErrorCode}`)
      })
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error))
      return entries.map(() => cause)
    }
  }

  return {
    publish: async (entries, signal) => {
      const results: (true | Error)[] = []
      for (const batch of inBatches(entries)) results.push(...(await put(batch, signal)))
      return results
    },
    close: client.close,
  }
}

function inBatches(entries: BusEntry[]): BusEntry[][] {
  const batches: BusEntry[][] = []
  let bytes = Infinity
  for (const entry of entries) {
    const size = 14 + source.length + Buffer.byteLength(entry.type) + Buffer.byteLength(entry.detail)
    const last = batches.at(-1)
    if (!last || last.length === entriesMax || bytes + size > bytesMax) {
      batches.push([entry])
      bytes = size
    } else {
      last.push(entry)
      bytes += size
    }
  }
  return batches
}
