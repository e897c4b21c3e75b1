// A server with EventBridge's PutEvents.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { atEnd } from './cleanup.ts'

export type BusEvent = {
  EventBusName: string
  Source: string
  DetailType: string
  Detail: string
  Time: number
}

export type Bus = {
  /** The service's settings for the bus. */
  env: Record<string, string>
  /** The accepted events, oldest first. */
  events: BusEvent[]
  /** The number of entries in each call. */
  batches: number[]
  /** Decides which entries are rejected. */
  refuses: (event: BusEvent) => boolean
  /** Every answer is 500. */
  isDown: boolean
  /** No call is answered. */
  isHanging: boolean
  /** Run before entries are accepted, which an error prevents, and before the caller gets the answer. */
  onCall: (events: BusEvent[]) => unknown
  onDone: (events: BusEvent[]) => unknown
}

/** Stops when the test or the file ends. */
export async function startBus(): Promise<Bus> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const { Entries = [] }: { Entries?: BusEvent[] } = JSON.parse(body.toString())
      if (bus.isHanging) return
      response.setHeader('content-type', 'application/x-amz-json-1.1')
      const isWrong =
        request.headers['x-amz-target'] !== 'AWSEvents.PutEvents' ||
        Entries.length > 10 ||
        body.length > 256 * 1024
      if (bus.isDown || isWrong) {
        response.writeHead(bus.isDown ? 500 : 400).end(JSON.stringify({ __type: 'ValidationException' }))
        return
      }
      try {
        bus.onCall(Entries)
      } catch {
        return void response.destroy()
      }
      bus.batches.push(Entries.length)
      const answers = Entries.map((event) => {
        if (bus.refuses(event)) return { ErrorCode: 'InternalFailure', ErrorMessage: 'try again' }
        bus.events.push(event)
        return { EventId: randomUUID() }
      })
      bus.onDone(Entries)
      const FailedEntryCount = answers.filter(({ ErrorCode }) => ErrorCode !== undefined).length
      response.end(JSON.stringify({ FailedEntryCount, Entries: answers }))
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  atEnd(async () => {
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
  })
  const bus: Bus = {
    env: {
      EVENT_BUS: 'directory',
      AWS_ENDPOINT_URL_EVENTBRIDGE: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    },
    events: [],
    batches: [],
    refuses: () => false,
    isDown: false,
    isHanging: false,
    onCall: () => {},
    onDone: () => {},
  }
  return bus
}
