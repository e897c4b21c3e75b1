// A reverse proxy in front of a service that answers some requests itself, or loses their answers.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { atEnd } from './cleanup.ts'

export type GatewayFault =
  /** Answers without asking the service. */
  | { status: number; headers?: Record<string, string>; body?: string }
  /** Cuts the connection, before the service gets the request or after it has answered. */
  | 'cut before'
  | 'cut after'
  /** Never answers. */
  | 'hang'
  /** None, before the fault of a later request. */
  | 'pass'

export type FaultyGateway = {
  url: string
  /** The faults of the next requests, in order. Later requests pass. */
  faults: GatewayFault[]
  /** The requests so far, such as `GET /user`. */
  requests: string[]
}

export async function startFaultyGateway(target: string): Promise<FaultyGateway> {
  const faults: GatewayFault[] = []
  const requests: string[] = []
  const server = createServer((incoming, outgoing) => {
    requests.push(`${incoming.method} ${incoming.url?.replace(/\?.*/, '')}`)
    answer(incoming, outgoing, { fault: faults.shift(), target }).catch(() => outgoing.destroy())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  atEnd(
    () =>
      new Promise((done) => {
        server.close(done)
        server.closeAllConnections()
      }),
  )
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, faults, requests }
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { fault, target }: { fault: GatewayFault | undefined; target: string },
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk)
  if (fault === 'hang') return
  if (typeof fault === 'object') {
    outgoing.writeHead(fault.status, fault.headers).end(fault.body)
    return
  }
  if (fault === 'cut before') {
    outgoing.destroy()
    return
  }
  const { method = 'GET', url, headers } = incoming
  const { host: _host, connection: _connection, 'transfer-encoding': _encoding, ...forwarded } = headers
  const response = await fetch(target + url, {
    method,
    headers: forwarded as Record<string, string>,
    ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
  })
  const body = Buffer.from(await response.arrayBuffer())
  if (fault === 'cut after') {
    outgoing.destroy()
    return
  }
  outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(body)
}
