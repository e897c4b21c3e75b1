// The client's bulk changes against a running service.
import { expect, it } from 'vitest'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { startService, uniqueName } from '../../test/support/service.ts'
import { openUserDirectory } from '../src/index.ts'

const service = await startService()
startJobRunner(service)
const { users, bulk } = openUserDirectory({ url: service.url, token: service.tokens.admin })

it('a bulk change is followed to its end, listed with its kept users, and undone', async () => {
  const name = uniqueName('followed')
  const user = await service.makeUser({ name })
  const created = await bulk.create({ action: 'block', filters: { search: name } })
  let last = created
  for await (const job of bulk.follow(created.id)) last = job
  expect(last).toMatchObject({ state: 'done', updated: 1 })
  expect(await users.get(user.id)).toMatchObject({ status: 'BLOCKED' })
  await users.patch(user.id, { name: `${name} later` })
  const undo = await bulk.undo(created.id)
  for await (const job of bulk.follow(undo.id)) last = job
  expect(last).toMatchObject({ state: 'done', undoes: created.id, refused: 1 })
  const kept: string[] = []
  for await (const { message } of bulk.errors(undo.id)) kept.push(message)
  expect(kept).toEqual([`user ${user.id} is kept, because it was changed (version 3)`])
  const ids: string[] = []
  for await (const { id } of bulk.list()) ids.push(id)
  expect(ids).toEqual([undo.id, created.id])
  expect(await bulk.cancel(created.id)).toMatchObject({ state: 'done' })
})
