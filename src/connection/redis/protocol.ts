// What Redis and its clients say to each other (RESP2): commands as bytes, and bytes as replies. Nothing that
// a server sends makes this take more memory than the limits below.
// https://redis.io/docs/latest/develop/reference/protocol-spec/

export type Part = string | number | Buffer

/** A bulk string is a part of the bytes that have arrived, not a copy of them. */
export type Reply = string | number | Buffer | null | RedisError | Reply[]

/** What the server refuses. */
export class RedisError extends Error {
  /** The first word: `NOSCRIPT`, `WRONGPASS` … */
  readonly code: string

  constructor(text: string) {
    // Of what it does not know the server repeats the arguments: those may be anybody's data.
    super(text.replace(/, with args .*$/s, ''))
    this.name = 'RedisError'
    this.code = /^[A-Z]+(?= |$)/.exec(text)?.[0] ?? 'ERR'
  }
}

// What is longest of ours are forty users that a walk reads together, 85 kB at most each.
const replyBytesMax = 4 * 1024 * 1024
const lineBytesMax = 8 * 1024
const depthMax = 8
// `+` and the line's end.
const elementBytesMin = 3

/** A command, for appending to others: text and bytes in turn. */
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
 * Reads replies from bytes, however these are cut.
 * @param take is given each reply, in order
 * @returns what takes the bytes. It throws an Error for what is not RESP2 or passes a limit; after that
 *   nobody knows where the next reply begins
 */
export function createReplyReader(take: (reply: Reply) => void): (chunk: Buffer) => void {
  /** What could not be read yet, from the beginning of a line. */
  let rest: Buffer = Buffer.alloc(0)
  // What came behind it is joined to it when there is enough, so that a long reply is not copied again and again.
  let later: Buffer[] = []
  let laterBytes = 0
  let needed = 0
  /** The arrays that are not complete, the outermost first. */
  const open: { items: Reply[]; left: number }[] = []
  /** The bytes of the present reply that have been read. */
  let readBytes = 0

  const deliver = (reply: Reply): void => {
    let value = reply
    for (;;) {
      const array = open.at(-1)
      if (!array) {
        readBytes = 0
        take(value)
        return
      }
      array.items.push(value)
      if (--array.left > 0) return
      open.pop()
      value = array.items
    }
  }

  /** @returns where the next part begins; undefined when this one is not complete, and `needed` says how far it goes */
  const readPart = (bytes: Buffer, at: number): number | undefined => {
    const end = bytes.indexOf(cr, at)
    if ((end === -1 ? bytes.length : end) - at > lineBytesMax) throw new Error('a line is too long')
    if (end === -1 || end + 1 === bytes.length) {
      needed = bytes.length - at + 1
      return undefined
    }
    if (bytes[end + 1] !== lf) throw new Error('a line does not end')
    const next = end + 2
    switch (bytes[at]) {
      case 0x24: {
        // $
        const length = readLength(bytes, at + 1, end, replyBytesMax - readBytes)
        if (length === -1) return given(null, at, next)
        const bodyEnd = next + length
        if (bytes.length < bodyEnd + 2) {
          needed = bodyEnd + 2 - at
          return undefined
        }
        if (bytes[bodyEnd] !== cr || bytes[bodyEnd + 1] !== lf) throw new Error('a text does not end')
        return given(bytes.subarray(next, bodyEnd), at, bodyEnd + 2)
      }
      case 0x2a: {
        // *
        const length = readLength(bytes, at + 1, end, (replyBytesMax - readBytes) / elementBytesMin)
        if (length === -1) return given(null, at, next)
        if (length === 0) return given([], at, next)
        if (open.length === depthMax) throw new Error('a reply is nested too deep')
        open.push({ items: [], left: length })
        readBytes += next - at
        return next
      }
      case 0x3a: // :
        return given(readInteger(bytes, at + 1, end), at, next)
      case 0x2b: // +
        return given(bytes.toString('latin1', at + 1, end), at, next)
      case 0x2d: // -
        return given(new RedisError(bytes.toString('utf8', at + 1, end)), at, next)
      default:
        throw new Error('a reply is of no kind that there is')
    }
  }

  const given = (reply: Reply, at: number, next: number): number => {
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

/** @returns -1 for null */
function readLength(bytes: Buffer, from: number, to: number, max: number): number {
  const length = readInteger(bytes, from, to)
  if (length < -1) throw new Error('a length is negative')
  if (length > max) throw new Error('a reply is too long')
  return length
}

function readInteger(bytes: Buffer, from: number, to: number): number {
  const isNegative = bytes[from] === 0x2d
  const start = isNegative ? from + 1 : from
  // A 64-bit integer has 19 digits.
  if (start === to || to - start > 19) throw new Error('a number is not one')
  let value = 0
  for (let at = start; at < to; at++) {
    const digit = (bytes[at] ?? 0) - 0x30
    if (digit < 0 || digit > 9) throw new Error('a number is not one')
    value = value * 10 + digit
  }
  return isNegative ? -value : value
}
