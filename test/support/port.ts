import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * @returns a free port below the range for outgoing connections, so that none of the tests' connections takes it
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    await new Promise((done) => server.close(done))
    return port
  }
}
