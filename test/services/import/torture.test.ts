// Short runs of `npm run torture -- --import`, and the judges that they rely on.
import { describe, expect, it } from 'vitest'
import { atEnd } from '../../support/cleanup.ts'
import { copyCluster } from '../../support/cluster-copy.ts'
import { freshDatabase } from '../../support/database.ts'
import { ndjson, runImport } from '../../support/import.ts'
import { type Choice, createImportJudge, type Facts } from '../../support/import-judge.ts'
import { importUnderKills } from '../../support/import-kills.ts'
import { choices, raceWithImport } from '../../support/import-race.ts'
import { compareImports } from '../../support/import-results.ts'
import { victims } from '../../support/import-stage.ts'
import { startLoadedServer } from '../../support/loaded-server.ts'
import { startService } from '../../support/service.ts'

it('an import whose server, database and S3 server are killed stores the rows of one that ran through', async () => {
  const { differences, kills } = await importUnderKills({ rows: 5_000, kills: 6, atEnd, copyCluster })
  expect(differences).toEqual([])
  expect(kills).toBeGreaterThanOrEqual(victims.length)
}, 300_000)

it.each(choices)(
  'no live write that races with an import is lost: $on_conflict by $match',
  async (choice) => {
    const databaseUrl = await freshDatabase()
    const { server, admin } = await startLoadedServer({ DATABASE_URL: databaseUrl })
    const race = { ...choice, rows: 3_000, writes: 300, url: server.url, databaseUrl, token: admin }
    const { judge, writes } = await raceWithImport(race)
    expect(judge.complaints).toEqual([])
    expect(writes).toBeGreaterThan(30)
  },
  300_000,
)

it('two results that differ in one contact, one refused row or one user are not equal', async () => {
  const user = { username: 'ada', password: null, contacts: [{ contact_type: 'WORK', value: 'one' }] }
  const other = { ...user, contacts: [{ contact_type: 'WORK', value: 'two' }] }
  const databaseOf = async (...users: object[]) => {
    const service = await startService()
    await runImport(service, ndjson(users))
    return service.databaseUrl
  }
  const expected = await databaseOf(user)
  expect(await compareImports(expected, await databaseOf(user))).toEqual([])
  for (const users of [[other], [user, user], [user, { username: 'bea', password: null }], []])
    expect(await compareImports(expected, await databaseOf(...users))).not.toEqual([])
})

describe('the judge of races', () => {
  const row: Facts = {
    username: 'ada',
    name: 'imported',
    status: 'ACTIVE',
    external_id: 'x|1',
    attributes: { a: 1 },
    contacts: [],
  }
  const seed: Facts = { ...row, name: 'seed', attributes: { b: 2 } }
  const judgeBy = (choice: Choice) => {
    const judge = createImportJudge(choice, () => row)
    return { judge, history: judge.seed(1, { ...seed, id: 'u', version: 1 }) }
  }

  it('accepts the row once, between any two writes, where the import may change users', () => {
    const { judge, history } = judgeBy({ on_conflict: 'update', match: 'username' })
    const patched = { ...row, name: 'patched' }
    judge.patched(history, { name: 'patched' }, { ...patched, id: 'u', version: 3 })
    expect(judge.complaints).toEqual([])
    judge.read(history, { ...row, id: 'u', version: 4 })
    expect(judge.complaints).toHaveLength(1)
  })

  it('detects a changed user where the import must leave users alone', () => {
    for (const on_conflict of ['skip', 'fail'] as const) {
      const { judge, history } = judgeBy({ on_conflict, match: 'username' })
      judge.read(history, { ...row, id: 'u', version: 2 })
      expect(judge.complaints).toHaveLength(1)
    }
  })

  it('detects a lost write, an erased user who is back, and a second user of one row', () => {
    const { judge, history } = judgeBy({ on_conflict: 'update', match: 'username' })
    judge.patched(history, { name: 'patched' }, { ...seed, name: 'patched', id: 'u', version: 2 })
    judge.read(history, { ...row, id: 'u', version: 2 })
    expect(judge.complaints).toHaveLength(1)
    history.isErased = true
    judge.read(history, { ...row, id: 'u', version: 2 })
    expect(judge.complaints).toHaveLength(2)
    judge.found(1, { ...row, id: 'v', version: 1 })
    judge.found(1, { ...row, id: 'w', version: 1 })
    expect(judge.complaints).toHaveLength(3)
  })
})
