// Notices whether several callers are active at the moment.

export type Contention = {
  /** Call it for each request. */
  note(caller: string): void
  isContended(): boolean
}

/** The state lasts this long after the last change between two callers. */
const contendedMs = 250

export function openContention(): Contention {
  let last = ''
  let contendedUntil = Number.NEGATIVE_INFINITY
  return {
    note: (caller) => {
      if (caller === last) return
      if (last !== '') contendedUntil = performance.now() + contendedMs
      last = caller
    },
    isContended: () => performance.now() < contendedUntil,
  }
}
