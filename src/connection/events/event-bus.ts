// The EventBridge bus that domain events are published on.
import { attemptLimits, openAwsClient } from '../aws/aws-client.ts'

/** `detail` is JSON. */
export type BusEntry = { type: string; detail: string; time: Date }

export type EventBus = {
  /**
   * Publishes any number of events, a failure of some leaving the others published. Never throws.
   * @returns for each whether the bus has taken it: true, or why not
   */
  publish(entries: BusEntry[], signal: AbortSignal): Promise<(true | Error)[]>
  close(): Promise<void>
}

const requestMsMax = 3_000
const callMsMax = 4_000
// Of one PutEvents call. An entry counts with its UTF-8 bytes and 14 for its time.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
const entriesMax = 10
const bytesMax = 256 * 1024
const source = 'user-directory'

export function openEventBus(name: string): EventBus {
  const client = openAwsClient(
    () => import('@aws-sdk/client-eventbridge'),
    ({ EventBridgeClient }) =>
      // The outbox tries again.
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
      const { Entries: answered = [] } = await client.call(
        (sdk, bus, limit) => bus.send(new sdk.PutEventsCommand({ Entries }), limit),
        callMsMax,
        signal,
      )
      // The answer's entries are in the order of the request's.
      return entries.map((_, at) => {
        const { EventId, ErrorCode = 'no answer' } = answered[at] ?? {}
        return EventId !== undefined || new Error(`the bus refused the event: ${ErrorCode}`)
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
