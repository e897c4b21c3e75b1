// The selected users of a list: some of them by id, or all that match.

export type Selection = ReadonlySet<string> | 'all'

/** @param ids of the loaded users; they are the selected ones where all that match are selected */
export function toggled(selection: Selection, ids: readonly string[], id: string): Selection {
  const next = new Set(selection === 'all' ? ids : selection)
  if (!next.delete(id)) next.add(id)
  return next
}

export type Extent = { anchor: number; from: number; to: number }

/** Moves the end of a range that begins at the anchor. @param ids of the loaded users */
export function extended(selection: Selection, ids: readonly string[], extent: Extent): Selection {
  const { anchor, from, to } = extent
  const range = (end: number) => ids.slice(Math.min(anchor, end), Math.max(anchor, end) + 1)
  const next = new Set(selection === 'all' ? ids : selection)
  for (const id of range(from)) next.delete(id)
  for (const id of range(to)) next.add(id)
  return next
}
