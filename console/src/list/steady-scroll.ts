// Keeps the visible users in place when pages above them come or go. Another list begins at its top.
import { type RefObject, useLayoutEffect, useRef } from 'react'
import { rowHeight } from './row-range.ts'
import { type PageParam, pageSize } from './users-query.ts'

/** Where the held lists were scrolled to, for a way back from a user. */
const scrolledTo = new WeakMap<readonly PageParam[], number>()

/** @param places of the held pages @param onMove called after the grid was scrolled @returns what to call when a person scrolls */
export function useSteadyScroll(
  grid: RefObject<HTMLElement | null>,
  places: readonly PageParam[],
  onMove: () => void,
): () => void {
  const before = useRef<readonly PageParam[]>(undefined)
  useLayoutEffect(() => {
    const { current } = grid
    const old = before.current
    before.current = places
    const [first] = places
    if (!current || !first || old === places) return
    let top = scrolledTo.get(places)
    if (old) {
      const isSameList = places.some((place) => old.includes(place))
      const rows = ((old[0]?.index ?? 0) - first.index) * pageSize
      top = isSameList ? current.scrollTop + rows * rowHeight : 0
    }
    // Without a need to scroll, the browser lays the rows out later and the page answers sooner.
    if (top === undefined) return
    current.scrollTop = top
    scrolledTo.set(places, top)
    onMove()
  }, [grid, places, onMove])
  return () => void scrolledTo.set(places, grid.current?.scrollTop ?? 0)
}
