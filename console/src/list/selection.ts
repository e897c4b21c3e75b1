// The state of the selection.
import { useState } from 'react'
import type { ListAddress } from './address.ts'
import type { Selection } from './selected-ids.ts'

/** The users that an action is for: those of the ids, or all that the list's filters match. */
export type Chosen = { address: ListAddress; ids: string[] | undefined }

const nothing: Selection = new Set()

/** The selection belongs to one list: another search must not act on users that are no longer visible. */
export function useSelection(address: ListAddress) {
  const { columns: _columns, ...list } = address
  const key = JSON.stringify(list)
  const [state, setState] = useState({ key, selection: nothing })
  const selection = state.key === key ? state.selection : nothing
  return [selection, (chosen: Selection = nothing) => setState({ key, selection: chosen })] as const
}
