// Checks the types of Redis's replies. A server that breaks the protocol of a command must not be trusted.
import type { Reply } from '../redis/protocol.ts'

export function bytesOf(reply: Reply | undefined): Buffer | undefined {
  if (reply === null) return undefined
  if (!Buffer.isBuffer(reply)) throw new Error('the cache did not reply with a bulk string')
  return reply
}

export function textOf(reply: Reply | undefined): string {
  return bytesOf(reply)?.toString() ?? ''
}

export function listOf(reply: Reply | undefined): Reply[] {
  if (!Array.isArray(reply)) throw new Error('the cache did not reply with an array')
  return reply
}
