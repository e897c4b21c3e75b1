// The EventBridge bus that domain events are published on.
import type { EventBridgeClient } from '@aws-sdk/client-eventbridge'

type Sdk = typeof import('@aws-sdk/client-eventbridge')

/** `detail` is JSON. */
export type BusEntry = { type: string; detail: string; time: Date }

export type EventBus = {
  /**
   * Publishes any number of events, a failure of some leaving the others published. Never throws.
   * @returns for each whether the bus has taken it: true, or why not
   */
  publish(entries: BusEntry[], signal: AbortSignal): Promise<(true | Error)[]>
  close(): void
}

const connectMsMax = 1_000
const requestMsMax = 3_000
const callMsMax = 4_000
// Of one PutEvents call. An entry counts with its UTF-8 bytes and 14 for its time.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
const entriesMax = 10
const bytesMax = 256 * 1024
const source = 'user-directory'

export function openEventBus(name: string): EventBus {
  // Loaded on first use: reads never need it.
  let opened: Promise<{ sdk: Sdk; client: EventBridgeClient }> | undefined
  const open = async () => {
    const sdk = await import('@aws-sdk/client-eventbridge')
    const client = new sdk.EventBridgeClient({
      // The outbox tries again.
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: connectMsMax,
        requestTimeout: requestMsMax,
        throwOnRequestTimeout: true,
      },
    })
    return { sdk, client }
  }

  const put = async (entries: BusEntry[], signal: AbortSignal): Promise<(true | Error)[]> => {
    try {
      opened ??= open()
      const { sdk, client } = await opened
      const abortSignal = AbortSignal.any([signal, AbortSignal.timeout(callMsMax)])
      abortSignal.throwIfAborted()
      const timeUp = new Promise<never>((_, reject) => {
        abortSignal.addEventListener('abort', () => reject(abortSignal.reason), { once: true })
      })
      const command = new sdk.PutEventsCommand({
        Entries: entries.map(({ type, detail, time }) => ({
          EventBusName: name,
          Source: source,
          DetailType: type,
          Detail: detail,
          Time: time,
        })),
      })
      // Raced as well, since the SDK does not heed the signal while it looks for credentials.
      const { Entries = [] } = await Promise.race([client.send(command, { abortSignal }), timeUp])
      // The answer's entries are in the order of the request's.
      return entries.map((_, at) => {
        const { EventId, ErrorCode = 'no answer' } = Entries[at] ?? {}
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
    close: () => void opened?.then(({ client }) => client.destroy()),
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
