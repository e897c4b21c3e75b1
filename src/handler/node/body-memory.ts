// Memory for the bodies of requests under way, shared between callers.

// Parsed, a body takes some times its size for a moment. The largest have 8 MB.
const roomBytes = 128 * 1024 * 1024
// Memory of a connection beside its body. It bounds how many small bodies one holder may keep waiting.
const overheadBytes = 16 * 1024

let freeBytes = roomBytes
const heldBytes = new Map<string, number>()

/** One body's part of the room. */
export type Reservation = {
  /** @returns false when the holder's share does not have so many more bytes */
  extend(bytes: number): boolean
  release(): void
}

/**
 * A holder may hold as many bytes as are free: one holder about half of the room, each of two a third. However many
 * there are, the next one still finds as much as each of them has.
 * @param holder whose share it is: a caller's key, or an address before the caller is known
 * @param bytes the declared length, 0 when there is none
 * @returns undefined when the holder's share is used up
 */
export function reserve(holder: string, bytes: number): Reservation | undefined {
  let taken = 0
  const extend = (more: number): boolean => {
    const held = heldBytes.get(holder) ?? 0
    if (held + more > freeBytes) return false
    freeBytes -= more
    taken += more
    heldBytes.set(holder, held + more)
    return true
  }
  const release = (): void => {
    const held = (heldBytes.get(holder) ?? 0) - taken
    freeBytes += taken
    taken = 0
    if (held > 0) heldBytes.set(holder, held)
    else heldBytes.delete(holder)
  }
  return extend(bytes + overheadBytes) ? { extend, release } : undefined
}
