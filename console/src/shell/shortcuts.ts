// Keys that work on every screen. WCAG 2.1.4: a person can turn the keys without Ctrl or ⌘ off.
import { useEffect, useRef } from 'react'

const storageKey = 'console.single-keys'

export function areSingleKeysOn(): boolean {
  return localStorage.getItem(storageKey) !== 'off'
}

export function turnSingleKeys(isOn: boolean): void {
  localStorage.setItem(storageKey, isOn ? 'on' : 'off')
}

type Actions = { palette: () => void; keys: () => void; search: () => void }

export function useShortcuts(actions: Actions): void {
  useKey((event) => {
    if (event.key.toLowerCase() === 'k' && (event.metaKey || event.ctrlKey) && !event.altKey)
      return actions.palette
    if (!isSingleKey(event)) return undefined
    if (event.key === '/') return actions.search
    if (event.key === '?') return actions.keys
    return undefined
  })
}

/** Runs the action when the person presses the key outside of fields and dialogs. */
export function useSingleKey(key: string, action: () => void): void {
  useKey((event) => (event.key === key && isSingleKey(event) ? action : undefined))
}

function useKey(choose: (event: KeyboardEvent) => (() => void) | undefined): void {
  const latest = useRef(choose)
  useEffect(() => {
    latest.current = choose
  })
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return
      const action = latest.current(event)
      if (!action) return
      event.preventDefault()
      action()
    }
    document.addEventListener('keydown', onKeyDown)
    return () => document.removeEventListener('keydown', onKeyDown)
  }, [])
}

export function isSingleKey(
  event: Pick<KeyboardEvent, 'target' | 'ctrlKey' | 'metaKey' | 'altKey'>,
): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || !areSingleKeysOn()) return false
  const { target } = event
  return !(target instanceof Element && target.closest('input, select, textarea, [role=dialog], [role=menu]'))
}
