// npm run torture -- --import: imports whose parts are killed, or that race with live writes.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { importUnderKills } from '../test/support/import-kills.ts'
import { choices, raceWithImport } from '../test/support/import-race.ts'
import { openStage } from '../test/support/import-stage.ts'
import { positive } from './options.ts'
import { openUndo } from './undo.ts'

type Options = { rows: string; kills: string; writes?: string | undefined }
type Print = (line: string) => void

/** Sets the exit code to 1 if a promise is broken. @throws Error for a wrong option */
export async function tortureImport(
  kind: string,
  { rows, kills, writes = '10000' }: Options,
  print: Print,
): Promise<void> {
  if (kind !== 'kills' && kind !== 'race') throw new Error(`--import must be kills or race, but is: ${kind}`)
  const size = {
    rows: positive('--rows', rows, 'whole'),
    kills: positive('--kills', kills, 'whole'),
    writes: positive('--writes', writes, 'whole'),
  }
  const undo = openUndo()
  try {
    const faults =
      kind === 'kills'
        ? (await importUnderKills({ ...size, print, atEnd: undo.push })).differences
        : await race(size, print, undo.push)
    for (const fault of faults) print(fault)
    print(faults.length === 0 ? 'every promise was kept' : 'a promise was broken')
    process.exitCode = faults.length === 0 ? 0 : 1
  } finally {
    await undo.run()
  }
}

async function race(
  { rows, writes }: { rows: number; writes: number },
  print: Print,
  atEnd: (step: () => Promise<unknown>) => void,
): Promise<string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'user-directory-race-'))
  atEnd(() => rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }))
  const faults: string[] = []
  for (const choice of choices) {
    const name = `${choice.on_conflict} by ${choice.match}`
    let answered = 0
    for (let round = 1; answered < writes; round++) {
      const steps: (() => Promise<unknown>)[] = []
      const close = async () => {
        for (let step = steps.pop(); step; step = steps.pop()) await step()
      }
      atEnd(close)
      const { url, databaseUrl, token } = await openStage(join(directory, `${name} ${round}`), {
        atEnd: (step) => steps.push(step),
      })
      const result = await raceWithImport({
        ...choice,
        rows,
        writes: writes - answered,
        url: url(),
        databaseUrl,
        token: await token(),
      })
      await close()
      const { judge, job, statuses } = result
      answered += result.writes
      const answers = [...statuses].map(([status, count]) => `${count} of ${status}`).join(', ')
      print(
        `${name}, import ${round}: ${result.writes} answered writes (${answers}); ${job.created} created, ${job.updated} updated, ${job.skipped} skipped, ${job.refused} refused; ${judge.faults()} faults`,
      )
      faults.push(...judge.complaints)
      if (result.writes === 0)
        throw new Error('the import ended before a write was answered; use more --rows')
    }
    print(`${name}: ${answered} answered writes`)
  }
  return faults
}
