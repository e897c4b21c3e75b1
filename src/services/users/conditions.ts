// The conditions of a list in SQL, in forms that the indexes serve or that are checked in each row.
import { type SQL, sql } from 'drizzle-orm'
import { rareTrigrams, type SearchClause } from '../../model/search-text.ts'

/** The conditions of a list. */
export type Conditions = {
  /** Conditions on `users u` that the sort's index serves. */
  aligned: SQL[]
  /** Conditions on other columns of `users u`. */
  filters: SQL[]
  search: SearchClause[]
  /** A condition that one contact of the user, `contacts c`, must meet. */
  contact: SQL | undefined
  /** Whether there are no conditions at all. */
  isPlain: boolean
  /** Whether many users may match. */
  mayBeCommon: boolean
}

type Selecting = Pick<Conditions, 'aligned' | 'filters' | 'search' | 'contact'>

/** All conditions on `users u`, in a form that indexes serve. */
export function indexedConditions(conditions: Selecting): SQL[] {
  return withSearch(conditions, (part) => sql.join([...rareTrigrams(part), part].map(like), sql` AND `))
}

/** The same without implied conditions, for which PostgreSQL would multiply its estimates. */
export function estimatedConditions(conditions: Selecting): SQL[] {
  return withSearch(conditions, like)
}

/**
 * The same, but PostgreSQL estimates each part of the search at a two-hundredth of the users. From the text it may
 * conclude that a common part is rare.
 */
export function commonConditions(conditions: Selecting): SQL[] {
  return withSearch(conditions, (part) => sql`u.search_text LIKE (SELECT ${`%${part}%`}::text)`)
}

function withSearch(
  { aligned, filters, search, contact }: Selecting,
  contains: (part: string) => SQL,
): SQL[] {
  const held = contact && sql`u.id IN (SELECT c.user_id FROM contacts c WHERE ${contact})`
  return [
    ...aligned,
    ...filters,
    ...search.map((clause) => matches(clause, contains)),
    ...(held ? [held] : []),
  ]
}

function like(part: string): SQL {
  return sql`u.search_text LIKE ${`%${part}%`}`
}

/**
 * The conditions that a walk along the sort's index checks in each row. `strpos` costs half as much as LIKE, and no plan
 * can use the search index for it.
 */
export function rowConditions({ filters, search, contact }: Conditions): SQL[] {
  const found = search.map((clause) => matches(clause, (part) => sql`strpos(u.search_text, ${part}) > 0`))
  // OFFSET prevents a join, which could read all contacts.
  const held = contact && sql`EXISTS (SELECT FROM contacts c WHERE c.user_id = u.id AND ${contact} OFFSET 0)`
  return [...filters, ...found, ...(held ? [held] : [])]
}

function matches({ every, orAny }: SearchClause, contains: (part: string) => SQL): SQL {
  const all = sql.join(every.map(contains), sql` AND `)
  return orAny.length === 0 ? all : sql`(${all} OR ${sql.join(orAny.map(contains), sql` OR `)})`
}

export function whereOf(conditions: SQL[]): SQL {
  return conditions.length === 0 ? sql`` : sql`WHERE ${sql.join(conditions, sql` AND `)}`
}
