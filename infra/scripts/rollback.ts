// npm run rollback: puts the alias `live` back by hand, without CloudFormation and within seconds.
import { parseArgs } from 'node:util'
import { runCommand } from '../../src/cli/command.ts'
import { aliasName } from '../names.ts'
import { openAliases, servingFunctions } from './aliases.ts'
import { explain, stageOf } from './stage.ts'

const usage = `Puts the alias \`${aliasName}\` back. A shift under way is stopped first.

  npm run rollback -- --stage prod             the API, to the version before
  npm run rollback -- --stage prod --to 12     the API, to version 12
  npm run rollback -- --stage prod --to api:12,sign-in:7
                                               these functions, as npm run deploy has found them
  --dry-run                                    only says what it would do

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
  const say = (text: string) => void process.stdout.write(`${text}\n`)
  if (values.help) return say(usage)
  const aliases = openAliases(stageOf(values.stage), say)
  try {
    await aliases.rollBack({ to: values.to?.split(','), dryRun: values['dry-run'] })
  } catch (error) {
    throw explain(error)
  } finally {
    aliases.close()
  }
})
