// Looks at the start of a file before it is read.

/** @returns at least `length` bytes, unless the file is shorter, and the whole file, which must be read or closed */
export async function peek(
  bytes: AsyncIterable<Uint8Array>,
  length: number,
): Promise<{ start: Buffer; whole: AsyncGenerator<Uint8Array> }> {
  const iterator = bytes[Symbol.asyncIterator]()
  let start: Buffer = Buffer.alloc(0)
  while (start.length < length) {
    const next = await iterator.next()
    if (next.done) break
    start = Buffer.concat([start, next.value])
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      yield start
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value
    } finally {
      await iterator.return?.()
    }
  }
  return { start, whole: whole() }
}

const startBytes = 256

/** @returns the first character that is no white space or byte order mark; empty if there is none near the start */
export async function peekCharacter(
  bytes: AsyncIterable<Uint8Array>,
): Promise<{ first: string; whole: AsyncIterable<Uint8Array> }> {
  const { start, whole } = await peek(bytes, startBytes)
  // `trim` removes the byte order mark too.
  return { first: start.subarray(0, startBytes).toString().trim().slice(0, 1), whole }
}
