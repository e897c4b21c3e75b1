// jobs takes imports, exports and bulk changes alike.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Job } from '../../client/src/index.ts'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { startService, uniqueName } from '../../test/support/service.ts'
import { openShell } from './command.ts'

const service = await startService()
const shell = await openShell({
  USER_DIRECTORY_SERVER: service.url,
  USER_DIRECTORY_TOKEN: service.tokens.admin,
})
const create = async (path: string, json: object) => (await service.call<Job>('POST', path, { json })).body.id
const get = async (id: string) => (await shell.json<Job>('jobs', 'get', id))[0]

it('lists all kinds from the newest, and shows and cancels each', async () => {
  const { id } = await service.makeUser()
  const ids: string[] = []
  for (let round = 1; round <= 2; round++) {
    ids.push(await create('/export', { format: 'csv' }))
    ids.push(await create('/bulk', { action: 'block', ids: [id] }))
    ids.push(await create('/import', { format: 'ndjson' }))
  }
  expect((await shell.json<Job>('jobs', 'list')).map((job) => job.id)).toEqual(ids.toReversed())
  const kinds: unknown[] = []
  for (const job of ids) {
    expect(await shell.run('jobs', 'cancel', job, '--yes')).toMatchObject({ code: 0 })
    const { kind, state } = (await get(job)) ?? {}
    expect(state).toBe('cancelled')
    kinds.push(kind)
  }
  expect(kinds.slice(0, 3)).toEqual(['export', 'bulk', 'import'])
})

it('follows, explains and undoes a bulk change', async () => {
  startJobRunner(service)
  const user = await service.makeUser()
  const id = await create('/bulk', { action: 'block', ids: [user.id] })
  const watched = await shell.run('jobs', 'watch', id)
  expect(watched).toMatchObject({ code: 0, stdout: expect.stringMatching(/^updated +1$/m) })
  expect(watched.stderr).toContain(`jobs undo ${id}`)
  expect(await shell.run('jobs', 'errors', id)).toMatchObject({ code: 0, stdout: '' })
  expect(await shell.run('jobs', 'undo', id)).toMatchObject({ code: 2 })
  expect(await shell.run('jobs', 'undo', id, '--yes')).toMatchObject({ code: 0 })
  expect((await shell.json('users', 'get', user.id))[0]).toMatchObject({ status: 'ACTIVE' })
})

it('an export has neither errors nor an undo', async () => {
  const id = await create('/export', { format: 'csv' })
  for (const words of [
    ['errors', id],
    ['undo', id, '--yes'],
  ])
    expect(await shell.run('jobs', ...words)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('export'),
    })
})

it('an undo says which users it kept, and why', async () => {
  startJobRunner(service)
  const username = uniqueName()
  const file = join(shell.config, 'kept.ndjson')
  await writeFile(file, `{"username":"${username}"}\n`)
  const [job] = await shell.json<Job>('import', file)
  expect(await shell.run('users', 'block', username)).toMatchObject({ code: 0 })
  const undo = await shell.run('jobs', 'undo', job?.id ?? '', '--yes')
  expect(undo.code).toBe(6)
  const [, id = ''] = /For the reasons: user-directory jobs errors (\S+)/.exec(undo.stderr) ?? []
  expect((await shell.run('jobs', 'errors', id)).stdout).not.toContain('line')
})
