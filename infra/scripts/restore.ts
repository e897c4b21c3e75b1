// npm run restore: restores a stage's database to an earlier time. Without --yes it is a dry run.
import { parseArgs } from 'node:util'
import { runCommand } from '../../src/cli/command.ts'
import { restoreDatabase } from './restore-database.ts'
import { explain, stageOf } from './stage.ts'

const usage = `Restores a stage's database to an earlier time. The service loses later changes;
the current database is kept under another name.

  npm run restore -- --stage prod --to 2026-11-24T12:00:00Z          prints the steps only
  npm run restore -- --stage prod --to 2026-11-24T12:00:00Z --yes    restores

To continue an interrupted run, repeat it with the same options.
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
  const print = (text: string) => void process.stdout.write(`${text}\n`)
  if (values.help) return print(usage)
  if (!values.stage) throw new Error('--stage is required: --stage STAGE')
  const stage = stageOf(values.stage)
  const to = instantOf(values.to)
  try {
    await restoreDatabase({ stage, to, dryRun: !values.yes, print })
    print(values.yes ? after(stage) : '\nNothing was changed. To restore, run this again with --yes.')
  } catch (error) {
    throw explain(error)
  }
})

/** @throws Error unless the text is an ISO 8601 instant with a time zone */
function instantOf(text = ''): Date {
  const instant = new Date(text)
  if (
    !/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text) ||
    Number.isNaN(instant.getTime())
  )
    throw new Error(`--to must be a time such as 2026-11-24T12:00:00Z, but is ${text || 'missing'}`)
  return instant
}

function after(stage: string): string {
  return `
The database is restored. Next:
  npm run smoke -- --stage ${stage}
  docs/deployment.md, "Restore": how to return to CloudFormation, and when to delete user-directory-${stage}-before-restore`
}
