// npm run restore: brings a stage's database back to an earlier time. Only says what it would do, unless told --yes.
import { parseArgs } from 'node:util'
import { runCommand } from '../../src/cli/command.ts'
import { readOutputs } from './outputs.ts'
import { restoreDatabase } from './restore-database.ts'
import { explain, stageOf } from './stage.ts'

const usage = `Restores a stage's database to an earlier time. What was written since is lost for the service;
the present database stays under another name.

  npm run restore -- --stage prod --to 2026-11-24T12:00:00Z          says what it would do
  npm run restore -- --stage prod --to 2026-11-24T12:00:00Z --yes    does it

A run that was interrupted is repeated with the same options.
`

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      stage: { type: 'string' },
      to: { type: 'string' },
      yes: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const say = (text: string) => void process.stdout.write(`${text}\n`)
  if (values.help) return say(usage)
  if (!values.stage) throw new Error('Say which stage: --stage STAGE')
  const stage = stageOf(values.stage)
  const to = instantOf(values.to)
  try {
    const { CacheName } = await readOutputs(stage)
    if (!CacheName)
      throw new Error(`The stacks of ${stage} have no output CacheName: deploy this version first.`)
    await restoreDatabase({ stage, to, cacheName: CacheName, dryRun: !values.yes, say })
    say(values.yes ? after(stage) : '\nNothing was changed. To do it, run this again with --yes.')
  } catch (error) {
    throw explain(error)
  }
})

/** @throws Error unless it is an ISO 8601 instant with its zone */
function instantOf(text = ''): Date {
  const instant = new Date(text)
  if (
    !/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text) ||
    Number.isNaN(instant.getTime())
  )
    throw new Error(`--to must be a time such as 2026-11-24T12:00:00Z, and is: ${text || 'missing'}`)
  return instant
}

function after(stage: string): string {
  return `
The database is restored. Next:
  npm run smoke -- --stage ${stage}
  docs/deployment.md, "Restore": how to return to CloudFormation, and when to delete user-directory-${stage}-before-restore`
}
