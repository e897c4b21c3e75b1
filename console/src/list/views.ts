// Lists that the person saved in this browser.
import { type ListAddress, readAddress } from './address.ts'

export type View = { name: string; address: ListAddress }

const storageKey = 'console.views'
const viewsMax = 50
export const nameLengthMax = 60

/** @returns the views that are kept */
export function storeViews(views: readonly View[]): View[] {
  const kept = views.slice(-viewsMax)
  localStorage.setItem(storageKey, JSON.stringify(kept))
  return kept
}

/** Ignores entries that another version of the console wrote. */
export function readViews(): View[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(storageKey) ?? '[]')
    if (!Array.isArray(stored)) return []
    return stored.slice(0, viewsMax).flatMap((entry: Partial<View> | null) => {
      if (typeof entry?.name !== 'string' || typeof entry.address !== 'object' || entry.address === null)
        return []
      return [{ name: entry.name.slice(0, nameLengthMax), address: readAddress(entry.address) }]
    })
  } catch {
    return []
  }
}
