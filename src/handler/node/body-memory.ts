// Limits the memory for request bodies in flight, and shares it between callers.

// Parsing a body briefly takes several times its size; the largest body has 8 MB.
const totalBytes = 128 * 1024 * 1024
// Memory of a connection besides its body. It limits how many small bodies one owner may have in flight.
const overheadBytes = 16 * 1024

let freeBytes = totalBytes
const heldBytes = new Map<string, number>()

/** The memory reserved for one body. */
export type Reservation = {
  /** @returns false if the owner's share has fewer bytes left */
  extend(bytes: number): boolean
  release(): void
}

/**
 * An owner may hold as many bytes as are free: one owner half of the total, each of two a third. The next owner can
 * therefore always reserve as much as each present one has.
 * @param owner a caller's key, or a client's address until the caller is known
 * @param bytes the declared length, 0 if there is none
 * @returns undefined if the owner's share is used up
 */
export function reserve(owner: string, bytes: number): Reservation | undefined {
  let taken = 0
  const extend = (more: number): boolean => {
    const held = heldBytes.get(owner) ?? 0
    if (held + more > freeBytes) return false
    freeBytes -= more
    taken += more
    heldBytes.set(owner, held + more)
    return true
  }
  const release = (): void => {
    const held = (heldBytes.get(owner) ?? 0) - taken
    freeBytes += taken
    taken = 0
    if (held > 0) heldBytes.set(owner, held)
    else heldBytes.delete(owner)
  }
  return extend(bytes + overheadBytes) ? { extend, release } : undefined
}
