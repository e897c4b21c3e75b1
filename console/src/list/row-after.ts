// Where keys lead in the rows of the grid.

type Place = { index: number; count: number; visibleRows: number }

/** @returns the row that a key leads to, -1 for the headings, undefined for other keys */
export function rowAfter(key: string, { index, count, visibleRows }: Place): number | undefined {
  const last = count - 1
  if (key === 'ArrowDown') return Math.min(index + 1, last)
  if (key === 'ArrowUp') return index - 1
  if (key === 'Home') return 0
  if (key === 'End') return last
  if (key === 'PageDown') return Math.min(index + visibleRows, last)
  return key === 'PageUp' ? Math.max(index - visibleRows, 0) : undefined
}
