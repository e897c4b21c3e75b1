// The keys of the grid, as the ARIA Authoring Practices describe them.
import type { KeyboardEvent } from 'react'
import { isSingleKey } from '../shell/shortcuts.ts'

/** Such as an arrow for j and k. */
export function keyOf(event: KeyboardEvent): string {
  const arrow = { j: 'ArrowDown', k: 'ArrowUp' }[event.key]
  return arrow !== undefined && isSingleKey(event) ? arrow : event.key
}

/** Moves the focus among the controls of the headings. @returns whether the key does that */
export function moveInHeadings(key: string, controls: readonly HTMLElement[]): boolean {
  const forward = document.documentElement.dir === 'rtl' ? 'ArrowLeft' : 'ArrowRight'
  const at = controls.findIndex((control) => control.matches(':focus'))
  if (key === 'Home') controls[0]?.focus()
  else if (key === 'End') controls.at(-1)?.focus()
  else if (key === 'ArrowLeft' || key === 'ArrowRight') controls[at + (key === forward ? 1 : -1)]?.focus()
  else return false
  return true
}
