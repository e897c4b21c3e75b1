// Binds the statements that services run to a connection.
import { drizzle } from 'drizzle-orm/node-postgres'
import type pg from 'pg'
import type { Queries } from './database.ts'
import { onWire } from './sqlstates.ts'

/** @param isPooled the connection leads through a pooler, whose sessions may lack our prepared statements */
export function bindQueries(client: pg.Client | pg.PoolClient, isPooled: boolean): Queries {
  const unprepared = async <Row extends pg.QueryResultRow>(text: string, values: unknown[]) =>
    (await onWire(client.query<Row>(text, values))).rows
  return Object.assign(drizzle({ client }), {
    prepared: async <Row extends pg.QueryResultRow>(name: string, text: string, values: unknown[]) =>
      isPooled
        ? unprepared<Row>(text, values)
        : (await onWire(client.query<Row>({ name, text, values }))).rows,
    unprepared,
  })
}
