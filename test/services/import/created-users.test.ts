// GET /import/{id}/users: the users that an import created.
import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import type { Page } from '../../../src/model/job.ts'
import type { User } from '../../../src/model/user.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { ndjson, prepareImport, runImport } from '../../support/import.ts'
import { startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const { call, makeUser } = service
const page = (id: string, query = '') => call<Page<User>>('GET', `/import/${id}/users${query}`)

/** @returns the usernames page by page */
async function pagesOf(id: string, limit: number): Promise<string[][]> {
  const pages: string[][] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query: string = cursor === '' ? '' : `&cursor=${cursor}`
    const { body } = await page(id, `?limit=${limit}${query}`)
    pages.push(body.items.map(({ username }) => username))
    cursor = body.next_cursor
  }
  return pages
}

it('lists them whatever their times and ids are, as GET /user/{id} does, and not those that it changed', async () => {
  const { username: known } = await makeUser()
  const [old, own, plain] = [uniqueName(), uniqueName(), uniqueName()]
  const contacts = [{ contact_type: 'EMAIL', value: 'ada@example.com' }]
  const { id } = await runImport(
    service,
    ndjson([
      { username: old, created_at: '0001-01-01T00:00:00Z', updated_at: '2001-01-01T00:00:00Z', contacts },
      { username: known, name: 'Changed' },
      { username: own, id: randomUUID() },
      { username: 'not a username' },
      { username: plain },
    ]),
    { on_conflict: 'update' },
  )
  const { status, body } = await page(id)
  expect([status, body.next_cursor]).toEqual([200, null])
  expect(body.items.map(({ username }) => username)).toEqual([old, own, plain])
  for (const user of body.items) expect((await call('GET', `/user/${user.id}`)).body).toEqual(user)
})

it('pages through many chunks, each user once, and leaves out the erased', async () => {
  const prefix = uniqueName()
  const names = Array.from({ length: 5_200 }, (_, at) => `${prefix}.${String(at).padStart(4, '0')}`)
  const { id } = await runImport(service, ndjson(names.map((username) => ({ username }))))
  const [{ chunks } = { chunks: 0 }] = await service.connections.db.query((queries) =>
    queries.unprepared<{ chunks: number }>(
      'SELECT count(*)::int AS chunks FROM job_created_users WHERE job_id = $1',
      [id],
    ),
  )
  expect(chunks).toBeGreaterThan(1)
  expect((await pagesOf(id, 200)).flat()).toEqual(names)

  const { body } = await page(id, '?limit=3')
  for (const user of body.items) await call('DELETE', `/user/${user.id}`)
  const { body: emptied } = await page(id, '?limit=3')
  expect(emptied.items).toEqual([])
  const { body: following } = await page(id, `?limit=3&cursor=${emptied.next_cursor}`)
  expect(following.items.map(({ username }) => username)).toEqual(names.slice(3, 6))
})

it('is empty for a dry run, before the start, and after the undo', async () => {
  const users = ndjson([{ username: uniqueName() }])
  const none = { items: [], next_cursor: null }
  expect((await page((await runImport(service, users, { dry_run: true })).id)).body).toEqual(none)
  expect((await page((await prepareImport(service, users)).id)).body).toEqual(none)
  const { id } = await runImport(service, users)
  expect((await page(id)).body.items).toHaveLength(1)
  const { body: undo } = await call('POST', `/import/${id}/undo`)
  await runNextJob(service.connections, new AbortController().signal)
  expect((await page(id)).body).toEqual(none)
  // An undo creates no users.
  expect((await page(undo.id)).status).toBe(404)
})

it.each(['x', '1', '1.', '.1', '1.1.1', '-1.0', '9999999999999999.1', '1.9999999999'])(
  'refuses the cursor %s',
  async (cursor) => {
    const { id } = await prepareImport(service, ndjson([]))
    const answer = await call<{ errors: object[] }>('GET', `/import/${id}/users?cursor=${cursor}`)
    expect([answer.status, answer.body.errors]).toEqual([
      400,
      [{ parameter: 'cursor', message: 'must be the next_cursor of a previous page' }],
    ])
    expect((await page(id, '?cursor=999999999999999.999999999')).body).toEqual({
      items: [],
      next_cursor: null,
    })
  },
)
