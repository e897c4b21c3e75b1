// Which rows the grid renders: the visible ones and some beyond them. All rows have the same height.
import { type RefObject, useCallback, useEffect, useState } from 'react'

/** CSS pixels. */
export const rowHeight = 36
/** Rendered beyond the visible rows, so that slow scrolling shows no gap. */
const rowsBeyond = 8
/** The range moves by several rows at once, because each move renders. */
const step = 4

export type RowRange = { first: number; end: number }

/** @returns the range, and a function that moves it to where the grid is scrolled */
export function useRowRange(grid: RefObject<HTMLElement | null>): [RowRange, () => void] {
  const [range, setRange] = useState(() => rangeAt(0, window.innerHeight))
  const update = useCallback(() => {
    const { current } = grid
    if (!current) return
    const next = rangeAt(current.scrollTop, current.clientHeight)
    setRange((old) => (old.first === next.first && old.end === next.end ? old : next))
  }, [grid])
  useEffect(() => {
    const { current } = grid
    if (!current) return
    const observer = new ResizeObserver(update)
    observer.observe(current)
    return () => observer.disconnect()
  }, [grid, update])
  return [range, update]
}

function rangeAt(top: number, height: number): RowRange {
  const first = Math.floor(top / rowHeight / step) * step - rowsBeyond
  const end = Math.ceil((top + height) / rowHeight / step) * step + rowsBeyond
  return { first: Math.max(0, first), end }
}
