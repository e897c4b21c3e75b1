// A network that fails: stands between the service and a real server, and hangs or refuses when told to.
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export type Proxy = {
  port: number
  /** Nothing passes any more, in either direction; connections stay open and new ones are accepted. */
  hang(): void
  /** Open connections stay open and silent, as behind a firewall that has forgotten them; new ones pass. */
  forget(): void
  /** Open connections are reset, and new ones refused. */
  refuse(): Promise<void>
  pass(): Promise<void>
  /** Open connections are reset; new ones reach another server. */
  leadTo(target: { host: string; port: number }): Promise<void>
  close(): Promise<void>
}

export async function startProxy(first: { host: string; port: number }): Promise<Proxy> {
  let target = first
  const sockets = new Set<Socket>()
  let isHanging = false
  let forgotten = new WeakSet<Socket>()
  let server: Server | undefined

  const accept = (inbound: Socket): void => {
    const outbound = connect(target.port, target.host)
    for (const [from, to] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      sockets.add(from)
      from.on('data', (bytes) => void (isHanging || forgotten.has(from) || to.write(bytes)))
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      from.on('error', () => {})
    }
  }
  const listen = (port: number) =>
    new Promise<Server>((resolve) => {
      const listening = createServer(accept).listen(port, '127.0.0.1', () => resolve(listening))
    })
  const refuse = async (): Promise<void> => {
    const closing = server
    server = undefined
    if (!closing) return
    const closed = new Promise((resolve) => closing.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  }

  server = await listen(0)
  const { port } = server.address() as AddressInfo
  const pass = async (): Promise<void> => {
    isHanging = false
    server ??= await listen(port)
  }
  return {
    port,
    hang: () => {
      isHanging = true
    },
    forget: () => {
      forgotten = new WeakSet(sockets)
    },
    refuse,
    pass,
    leadTo: async (next) => {
      await refuse()
      target = next
      await pass()
    },
    close: refuse,
  }
}
