// A proxy in front of the cluster bus of one node, which can cut the node off from the others.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type BusProxy = {
  port: number
  close(): Promise<void>
}

// The header of each message of the bus begins so; then come 40 bytes with the sender's id.
// https://github.com/valkey-io/valkey/blob/8.1/src/cluster_legacy.h (clusterMsg)
const senderAt = 40
const idLength = 40

/**
 * @param busPort of the node
 * @param isCut whether the node is cut off from the node with the sender's id
 */
export async function startBusProxy(busPort: number, isCut: (sender: string) => boolean): Promise<BusProxy> {
  const sockets = new Set<Socket>()
  const server = createServer((inbound) => {
    const outbound = connect(busPort, '127.0.0.1')
    let sender = ''
    inbound.on('data', (bytes: Buffer) => {
      if (sender === '') sender = bytes.toString('latin1', senderAt, senderAt + idLength)
      if (!isCut(sender)) outbound.write(bytes)
    })
    outbound.on('data', (bytes: Buffer) => {
      if (!isCut(sender)) inbound.write(bytes)
    })
    for (const [socket, other] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = new Promise((done) => server.close(done))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
