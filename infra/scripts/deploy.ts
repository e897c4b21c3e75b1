// npm run deploy: brings a stage to what this checkout, or an assembly made before, says.
import { execFileSync } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { runCommand } from '../../src/cli/command.ts'
import { openAliases } from './aliases.ts'
import { readOutputs } from './outputs.ts'
import { assertDeployable } from './preflight.ts'
import { explain, stackNames, stageOf } from './stage.ts'

const usage = `Deploys a stage to the AWS account and region of your credentials.

  npm run deploy                                 builds, and deploys dev
  npm run deploy -- --stage prod                 builds, and deploys prod
  npm run deploy -- --stage prod --assembly DIR  deploys what npm run synth has left, as it is
`

const root = resolve(import.meta.dirname, '../..')
const buildMsMax = 600_000
// A first database with its standby and a distribution take half an hour.
const deployMsMax = 5_400_000

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      stage: { type: 'string', default: 'dev' },
      assembly: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const say = (text: string) => void process.stdout.write(`${text}\n`)
  if (values.help) return say(usage)
  const stage = stageOf(values.stage)
  const aliases = openAliases(stage, say)
  try {
    const before = (await aliases.versions()).join()
    // Also for a deployment that fails halfway: what follows it must know where to go back to.
    if (process.env.GITHUB_OUTPUT) appendFileSync(process.env.GITHUB_OUTPUT, `before=${before}\n`)
    const assembly = resolve(values.assembly ?? join(root, 'infra/cdk.out'))
    if (!values.assembly) {
      run(['npm', 'run', 'build'], root, buildMsMax)
      run(['npm', 'run', 'synth'], root, buildMsMax)
    }
    await assertDeployable(stage, assembly)
    run(
      [
        join(root, 'node_modules/.bin/cdk'),
        'deploy',
        ...stackNames(stage),
        '--require-approval=never',
        '--progress=events',
        `--app=${assembly}`,
      ],
      join(root, 'infra'),
      deployMsMax,
    )
    const outputs = Object.entries(await readOutputs(stage)).sort()
    say(`\n${outputs.map(([name, value]) => `${name.padEnd(20)} ${value}`).join('\n')}\n`)
    say(`live:     ${(await aliases.versions()).join()}`)
    say(`Try it:   npm run smoke -- --stage ${stage}`)
    if (before) say(`Go back:  npm run rollback -- --stage ${stage} --to ${before}`)
  } catch (error) {
    throw explain(error)
  } finally {
    aliases.close()
  }
})

function run([command = '', ...options]: string[], cwd: string, timeout: number): void {
  try {
    execFileSync(command, options, { cwd, timeout, stdio: 'inherit' })
  } catch (error) {
    // It has said why itself.
    const { status, signal } = error as { status: number | null; signal: string | null }
    throw new Error(`${[command, ...options].join(' ')} ended with ${status ?? signal}.`)
  }
}
