// The order of a list in SQL: the column of each sort, its direction and the comparisons along it.
import { type SQL, sql } from 'drizzle-orm'
import type { Sort } from '../../model/listing.ts'
import type { Position } from './cursor.ts'

export type SortOrder = {
  column: SQL
  type: SQL
  /** Whether rows that were stored together are together in the sort. */
  isByTime: boolean
  direction: SQL
  /** Compares with an earlier position. */
  beyond: SQL
  /** Compares with the same or a later position. */
  upTo: SQL
  by: SQL
}

const sortColumns: Record<string, { column: SQL; type: SQL; isByTime: boolean }> = {
  created_at: { column: sql`u.created_at`, type: sql`timestamptz`, isByTime: true },
  updated_at: { column: sql`u.updated_at`, type: sql`timestamptz`, isByTime: true },
  username: { column: sql`u.username_folded`, type: sql`text`, isByTime: false },
  name: { column: sql`u.name_folded`, type: sql`text`, isByTime: false },
}

export function sortOrderOf(sort: Sort): SortOrder {
  const isDescending = sort.startsWith('-')
  const sorted = sortColumns[isDescending ? sort.slice(1) : sort]
  if (!sorted) throw new Error(`no column to sort by ${sort}`)
  const direction = isDescending ? sql`DESC` : sql`ASC`
  return {
    ...sorted,
    direction,
    beyond: isDescending ? sql`<` : sql`>`,
    upTo: isDescending ? sql`>=` : sql`<=`,
    by: sql`ORDER BY ${sorted.column} ${direction}, u.id ${direction}`,
  }
}

/** A condition on the position of `users u` in the order. */
export function positionIs(comparison: SQL, [key, id]: Position, { column, type }: SortOrder): SQL {
  return sql`(${column}, u.id) ${comparison} (${key}::${type}, ${id}::uuid)`
}
