// npm run rollback: rolls the alias `live` back within seconds, without CloudFormation.
import { parseArgs } from 'node:util'
import { runCommand } from '../../src/cli/command.ts'
import { aliasName } from '../names.ts'
import { openAliases, servingFunctions } from './aliases.ts'
import { explain, stageOf } from './stage.ts'

const usage = `Rolls the alias \`${aliasName}\` back. It stops a deployment in progress first.

  npm run rollback -- --stage prod             the API, to its previous version
  npm run rollback -- --stage prod --to 12     the API, to version 12
  npm run rollback -- --stage prod --to api:12,sign-in:7
                                               these functions, as npm run deploy prints them
  --dry-run                                    prints the steps only

Functions: ${servingFunctions.join(', ')}.
`

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      stage: { type: 'string', default: 'dev' },
      to: { type: 'string' },
      'dry-run': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const print = (text: string) => void process.stdout.write(`${text}\n`)
  if (values.help) return print(usage)
  const aliases = openAliases(stageOf(values.stage), print)
  try {
    await aliases.rollBack({ to: values.to?.split(','), dryRun: values['dry-run'] })
  } catch (error) {
    throw explain(error)
  } finally {
    aliases.close()
  }
})
