// A TCP proxy between the service and a real server that simulates network faults.
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export type Proxy = {
  port: number
  /** Blocks all traffic. Connections stay open and new ones are accepted. */
  hang(): void
  /** Blocks open connections silently, like a firewall that lost their state. New ones pass. */
  forget(): void
  /** Resets open connections, and refuses new ones. */
  refuse(): Promise<void>
  pass(): Promise<void>
  /** Resets open connections. New ones reach another server. */
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
