// Users who were stored under older rules of search and sorting.
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { migrate, schemaState } from '../../../src/connection/postgres/migrations.ts'
import { seedSamples } from '../../../src/dev/samples.ts'
import { startService } from '../../support/service.ts'

const service = await startService()
const client = new pg.Client({ connectionString: service.databaseUrl })
beforeAll(() => client.connect())
afterAll(() => client.end())

const columns = async () =>
  (await client.query('SELECT id, name_folded, search_text, version, updated_at FROM users ORDER BY id')).rows
const age = (where: string) =>
  client.query(`UPDATE users SET name_folded = 'old', search_text = ' old' WHERE ${where}`)
const setState = (state: object) =>
  client.query(`UPDATE job_checkpoints SET state = $1 WHERE job = 'derived-columns'`, [state])

it('are searched and sorted by the new rules after a migration, which servers require', async () => {
  await seedSamples(service.connections, 1_100, { suffix: '-derived' })
  const before = await columns()
  await age('true')
  await setState({ version: 0, after: null, isDone: true })
  expect(await schemaState(service.databaseUrl)).toBe('behind')

  await migrate(service.databaseUrl)
  expect(await columns()).toEqual(before)
  expect(await schemaState(service.databaseUrl)).toBe('current')
})

it('are not processed twice: an interrupted migration continues after its last batch', async () => {
  const before = await columns()
  const { rows } = await client.query('SELECT id FROM users ORDER BY id OFFSET 1000 LIMIT 1')
  await age('true')
  const { rows: kept } = await client.query('SELECT state FROM job_checkpoints')
  await setState({ ...kept[0].state, after: rows[0].id, isDone: false })
  expect(await schemaState(service.databaseUrl)).toBe('behind')

  await migrate(service.databaseUrl)
  const after = await columns()
  expect(after.slice(1001)).toEqual(before.slice(1001))
  expect(after.slice(0, 1001).every(({ search_text }) => search_text === ' old')).toBe(true)
})
