// Reads the plans of the statements that a list sends.
import { type SQL, sql } from 'drizzle-orm'
import { PgDialect } from 'drizzle-orm/pg-core'
import type pg from 'pg'
import { expect } from 'vitest'
import * as z from 'zod/mini'
import type { Queries } from '../../src/connection/postgres/database.ts'
import { listQuery } from '../../src/model/listing.ts'
import { searchClauses } from '../../src/model/search-text.ts'
import type { ServiceContext } from '../../src/services/context.ts'
import { estimatedConditions, indexedConditions, whereOf } from '../../src/services/users/conditions.ts'
import { listUsers } from '../../src/services/users/list.ts'

type Node = {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Heap Fetches'?: number
  'Rows Removed by Filter'?: number
  'Shared Hit Blocks'?: number
  'Shared Read Blocks'?: number
  'Rows Removed by Index Recheck'?: number
  Plans?: Node[]
}

export type Named = { name: string; text: string }

const dialect = new PgDialect()

/** @param client explains on the service's database */
export function planReader({ connections }: { connections: ServiceContext }, client: pg.Client) {
  /** Wraps the service's connections so that they record the plan of each statement of a list. */
  function explaining(plans: Node[], named: Named[]): ServiceContext {
    const { db, ...others } = connections
    const explain = async (text: string, values: unknown[]): Promise<void> => {
      const { rows } = await client.query(
        `EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, FORMAT JSON) ${text}`,
        values,
      )
      plans.push(rows[0]['QUERY PLAN'][0].Plan)
    }
    const explained = (queries: Queries): Queries =>
      Object.assign(Object.create(queries), {
        execute: async (statement: SQL) => {
          const { sql: text, params } = dialect.sqlToQuery(statement)
          await explain(text, params)
          return queries.execute(statement)
        },
        prepared: async (name: string, text: string, values: unknown[]) => {
          named.push({ name, text })
          await explain(text, values)
          return queries.prepared(name, text, values)
        },
      })
    return { ...others, db: { ...db, query: (work) => db.query((queries) => work(explained(queries))) } }
  }

  /** Returns the number of statements of a page, and the most rows that one of their scans reads. */
  async function cost(
    query: Record<string, unknown>,
    named: Named[] = [],
  ): Promise<{ statements: number; rows: number; scanned: string }> {
    const plans: Node[] = []
    await listUsers(explaining(plans, named), z.parse(listQuery, query))
    const looked = plans.flatMap(scans)
    expect(looked.length).toBeGreaterThan(0)
    return {
      statements: plans.length,
      rows: Math.max(...looked.map(({ rows }) => rows)),
      scanned: JSON.stringify(looked),
    }
  }

  /** Returns the blocks of the index that a search reads, and those it would read without narrowing conditions. */
  async function searchBuffers(search: string): Promise<{ narrowed: number; plain: number }> {
    const conditions = { aligned: [], filters: [], search: searchClauses(search), contact: undefined }
    const read = async (where: SQL) => {
      const { sql: text, params } = dialect.sqlToQuery(
        sql`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT FROM users u ${where}`,
      )
      const { rows } = await client.query(text, params)
      const scan: Node | undefined = rows[0]['QUERY PLAN'][0].Plan.Plans?.[0]
      expect(scan?.['Index Name']).toBe('users_search')
      return (scan?.['Shared Hit Blocks'] ?? 0) + (scan?.['Shared Read Blocks'] ?? 0)
    }
    return {
      narrowed: await read(whereOf(indexedConditions(conditions))),
      plain: await read(whereOf(estimatedConditions(conditions))),
    }
  }

  return { cost, searchBuffers }
}

function scans(node: Node): { what: string; rows: number }[] {
  const below = (node.Plans ?? []).flatMap(scans)
  const what = node['Index Name'] ?? node['Relation Name']
  if (what === undefined) return below
  // A narrow index may be read completely if that is cheaper than ten thousand look-ups: 80 ms for a million.
  const rows =
    node['Node Type'] === 'Index Only Scan'
      ? (node['Heap Fetches'] ?? 0)
      : node['Actual Rows'] +
        (node['Rows Removed by Filter'] ?? 0) +
        (node['Rows Removed by Index Recheck'] ?? 0)
  return [...below, { what: `${node['Node Type']} ${what}`, rows: rows * node['Actual Loops'] }]
}
