// The state of the list in the address, so that a link shows the same users.
import type { UserQuery } from '../api/directory.ts'
import { type ColumnId, columnIds, defaultColumns } from './columns.tsx'

export const filterNames = [
  'status',
  'username',
  'contact_type',
  'contact',
  'external_id',
  'attribute',
  'created_after',
  'created_before',
  'updated_after',
  'updated_before',
] as const
export type FilterName = (typeof filterNames)[number]

/** All of them texts; the API checks their values. */
export type ListAddress = { [Name in FilterName | 'search' | 'sort' | 'columns']?: string }

const names: readonly (keyof ListAddress)[] = ['search', ...filterNames, 'sort', 'columns']
const valueLengthMax = 600
/** The newest users come first. */
export const defaultSort = '-created_at'

export function readAddress(search: Record<string, unknown>): ListAddress {
  const address: ListAddress = {}
  for (const name of names) {
    const value = search[name]
    if (typeof value === 'string' && value !== '' && value.length <= valueLengthMax) address[name] = value
  }
  return address
}

/** @returns the filters for the API, without sort and cursor. The API names each value that is not valid */
export function filtersOf(address: ListAddress): Record<string, string> {
  const query: Record<string, string> = {}
  for (const name of ['search', ...filterNames] as const) {
    const value = address[name]
    if (value === undefined) continue
    if (name !== 'attribute') query[name] = value
    else {
      const [key = '', ...rest] = value.split('=')
      query[`attribute.${key.trim()}`] = rest.join('=').trim()
    }
  }
  return query
}

export function sortOf({ sort = defaultSort }: ListAddress): NonNullable<UserQuery['sort']> {
  return sort as NonNullable<UserQuery['sort']>
}

export function columnsOf({ columns, sort, updated_after, updated_before }: ListAddress): ColumnId[] {
  if (columns === undefined) {
    const isAboutChanges =
      updated_after !== undefined || updated_before !== undefined || sort?.endsWith('updated_at')
    return isAboutChanges ? [...defaultColumns, 'updated_at'] : [...defaultColumns]
  }
  const wanted = new Set(columns.split(','))
  // The username names the row, so it is always shown.
  return columnIds.filter((id) => id === 'username' || wanted.has(id))
}

/** Undefined removes a part. */
export type Change = { [Name in keyof ListAddress]?: string | undefined }

export function changed(old: ListAddress, parts: Change): ListAddress {
  const merged: ListAddress = { ...old }
  for (const [name, value] of Object.entries(parts) as [keyof ListAddress, string | undefined][])
    if (value === undefined || value === '') delete merged[name]
    else merged[name] = value
  return merged
}
