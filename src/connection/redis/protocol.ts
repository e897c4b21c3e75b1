// Encodes commands and decodes replies of Redis's protocol (RESP2), within fixed memory limits.
// https://redis.io/docs/latest/develop/reference/protocol-spec/

export type Part = string | number | Buffer

/** A bulk string is a view of the received bytes, not a copy. */
export type Reply = string | number | Buffer | null | RedisError | Reply[]

/** An error reply. */
export class RedisError extends Error {
  /** The first word, such as `NOSCRIPT` or `WRONGPASS`. */
  readonly code: string

  constructor(text: string) {
    // The server repeats the arguments of an unknown command, which may contain users' data.
    super(text.replace(/, with args .*$/s, ''))
    this.name = 'RedisError'
    this.code = /^[A-Z]+(?= |$)/.exec(text)?.[0] ?? 'ERR'
  }
}

// The longest reply is an MGET of forty users, of up to 95 kB each.
const replyBytesMax = 4 * 1024 * 1024
const lineBytesMax = 8 * 1024
const depthMax = 8
// `+` and the line ending.
const elementBytesMin = 3

/** Encodes a command as alternating text and buffers, to be joined with other commands. */
export function encode(command: readonly Part[]): Part[] {
  const pieces: Part[] = []
  let text = `*${command.length}\r\n`
  for (const part of command) {
    if (typeof part === 'object') {
      pieces.push(`${text}$${part.length}\r\n`, part)
      text = '\r\n'
    } else {
      const value = String(part)
      text += `$${Buffer.byteLength(value)}\r\n${value}\r\n`
    }
  }
  pieces.push(text)
  return pieces
}

const cr = 0x0d
const lf = 0x0a

/**
 * Decodes replies from chunks that may be split anywhere.
 * @param onReply is called with each reply, in order
 * @returns a function that consumes a chunk. It throws an Error for invalid RESP2 and for exceeded limits; the reader
 *   is unusable after that
 */
export function createReplyReader(onReply: (reply: Reply) => void): (chunk: Buffer) => void {
  /** Unread bytes, from the beginning of a line. */
  let rest: Buffer = Buffer.alloc(0)
  // Later chunks are joined only once there is enough to continue, so that a long reply is copied once.
  let later: Buffer[] = []
  let laterBytes = 0
  let needed = 0
  /** Incomplete arrays, outermost first. */
  const open: { items: Reply[]; left: number }[] = []
  /** Bytes read of the current reply. */
  let readBytes = 0

  const deliver = (reply: Reply): void => {
    let value = reply
    for (;;) {
      const array = open.at(-1)
      if (!array) {
        readBytes = 0
        onReply(value)
        return
      }
      array.items.push(value)
      if (--array.left > 0) return
      open.pop()
      value = array.items
    }
  }

  /** @returns the start of the next part; undefined if this one is incomplete, and then sets `needed` to its length */
  const readPart = (bytes: Buffer, at: number): number | undefined => {
    const end = bytes.indexOf(cr, at)
    if ((end === -1 ? bytes.length : end) - at > lineBytesMax) throw new Error('a line is too long')
    if (end === -1 || end + 1 === bytes.length) {
      needed = bytes.length - at + 1
      return undefined
    }
    if (bytes[end + 1] !== lf) throw new Error('a line does not end with CRLF')
    const next = end + 2
    switch (bytes[at]) {
      case 0x24: {
        // $
        const length = withinLimit(readInteger(bytes, at + 1, end), replyBytesMax - readBytes)
        if (length === -1) return complete(null, at, next)
        const bodyEnd = next + length
        if (bytes.length < bodyEnd + 2) {
          needed = bodyEnd + 2 - at
          return undefined
        }
        if (bytes[bodyEnd] !== cr || bytes[bodyEnd + 1] !== lf)
          throw new Error('a bulk string does not end with CRLF')
        return complete(bytes.subarray(next, bodyEnd), at, bodyEnd + 2)
      }
      case 0x2a: {
        // *
        const length = withinLimit(
          readInteger(bytes, at + 1, end),
          (replyBytesMax - readBytes) / elementBytesMin,
        )
        if (length === -1) return complete(null, at, next)
        if (length === 0) return complete([], at, next)
        if (open.length === depthMax) throw new Error('a reply is nested too deeply')
        open.push({ items: [], left: length })
        readBytes += next - at
        return next
      }
      case 0x3a: // :
        return complete(readInteger(bytes, at + 1, end), at, next)
      case 0x2b: // +
        return complete(bytes.toString('latin1', at + 1, end), at, next)
      case 0x2d: // -
        return complete(new RedisError(bytes.toString('utf8', at + 1, end)), at, next)
      default:
        throw new Error('a reply has an unknown type')
    }
  }

  const complete = (reply: Reply, at: number, next: number): number => {
    readBytes += next - at
    if (readBytes > replyBytesMax) throw new Error('a reply is too long')
    deliver(reply)
    return next
  }

  return (chunk) => {
    let bytes = chunk
    if (rest.length > 0) {
      later.push(chunk)
      laterBytes += chunk.length
      if (rest.length + laterBytes < needed) return
      bytes = Buffer.concat([rest, ...later], rest.length + laterBytes)
      later = []
      laterBytes = 0
    }
    let at = 0
    while (at < bytes.length) {
      const next = readPart(bytes, at)
      if (next === undefined) break
      at = next
    }
    rest = bytes.subarray(at)
  }
}

/** @param length -1 for null */
function withinLimit(length: number, max: number): number {
  if (length < -1) throw new Error('a length is negative')
  if (length > max) throw new Error('a reply is too long')
  return length
}

function readInteger(bytes: Buffer, from: number, to: number): number {
  const isNegative = bytes[from] === 0x2d
  const start = isNegative ? from + 1 : from
  // A 64-bit integer has 19 digits.
  if (start === to || to - start > 19) throw new Error('an integer is malformed')
  let value = 0
  for (let at = start; at < to; at++) {
    const digit = (bytes[at] ?? 0) - 0x30
    if (digit < 0 || digit > 9) throw new Error('an integer is malformed')
    value = value * 10 + digit
  }
  return isNegative ? -value : value
}
