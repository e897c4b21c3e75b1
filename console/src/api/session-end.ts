// Remembers that the session has ended, so that a dialog asks the person to sign in again.
import { useSyncExternalStore } from 'react'

let hasEnded = false
const listeners = new Set<() => void>()

export const sessionEnd = {
  set(value: boolean): void {
    hasEnded = value
    for (const listener of listeners) listener()
  },
}

export function useSessionEnd(): boolean {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => hasEnded,
  )
}
