// Events of imported users, on their way from the import's transactions through the outbox to a bus.
import { expect, it } from 'vitest'
import { deliverDue } from '../../../src/services/outbox/relay.ts'
import { startBus } from '../../support/event-bus.ts'
import { ndjson, runImport } from '../../support/import.ts'
import { startService, uniqueName } from '../../support/service.ts'

const bus = await startBus()
Object.assign(process.env, bus.env)
const service = await startService({ env: bus.env })
const { db } = service.connections

async function deliverAll(): Promise<void> {
  while ((await deliverDue(service.connections, 'bus', AbortSignal.timeout(20_000))) > 0);
}
/** @returns the types of events, by username */
function announced(names: string[]): Map<string, string[]> {
  const found = new Map<string, string[]>(names.map((name) => [name, []]))
  for (const { DetailType, Detail } of bus.events)
    found.get(JSON.parse(Detail).user.username)?.push(DetailType)
  return found
}

it('each created and each changed user is announced at least once, also after a failed delivery', async () => {
  const names = Array.from({ length: 1_500 }, () => uniqueName())
  const { username: known } = await service.makeUser()
  await deliverAll()
  bus.events.length = 0
  const rows = [...names.map((username) => ({ username })), { username: known, name: 'New' }]
  const job = await runImport(service, ndjson(rows), { on_conflict: 'update' })
  expect(job).toMatchObject({ created: 1_500, updated: 1 })

  let calls = 0
  bus.onCall = () => {
    if (++calls % 10 === 3) throw new Error('the connection is lost')
  }
  bus.refuses = () => calls % 10 === 7
  await deliverAll()
  bus.onCall = () => {}
  bus.refuses = () => false
  await db.query((queries) => queries.unprepared('UPDATE outbox SET bus_due_at = now()', []))
  await deliverAll()
  const found = announced([...names, known])
  expect(found.get(known)).toContain('user.updated')
  found.delete(known)
  expect([...found].filter(([, types]) => !types.includes('user.created'))).toEqual([])
})

it('with announce: false no created user is announced, and a changed one is', async () => {
  const names = Array.from({ length: 20 }, () => uniqueName())
  const { username: known } = await service.makeUser()
  await deliverAll()
  bus.events.length = 0
  const rows = [...names.map((username) => ({ username })), { username: known, name: 'New' }]
  const job = await runImport(service, ndjson(rows), { on_conflict: 'update', announce: false })
  expect(job).toMatchObject({ created: 20, updated: 1 })
  await deliverAll()
  const found = announced([...names, known])
  expect([...found].filter(([, types]) => types.length > 0)).toEqual([[known, ['user.updated']]])
})

it('a dry run, a refused row and an unchanged user announce nothing', async () => {
  const [dry, bad, same] = [uniqueName(), uniqueName(), uniqueName()]
  await runImport(service, ndjson([{ username: same }]))
  await deliverAll()
  bus.events.length = 0
  const job = await runImport(service, ndjson([{ username: same }]), { on_conflict: 'update' })
  expect(job).toMatchObject({ unchanged: 1 })
  await runImport(service, ndjson([{ username: dry }]), { dry_run: true })
  await runImport(service, ndjson([{ username: bad, status: 'NONE' }]))
  await deliverAll()
  expect([...announced([dry, bad, same]).values()]).toEqual([[], [], []])
})
