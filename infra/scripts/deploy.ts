// npm run deploy: deploys a stage from this checkout or from an assembly built before.
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
  npm run deploy -- --stage prod --assembly DIR  deploys the output of npm run synth unchanged
`

const root = resolve(import.meta.dirname, '../..')
const buildMsMax = 600_000
// The first database with its standby and the distribution take half an hour.
const deployMsMax = 5_400_000

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      stage: { type: 'string', default: 'dev' },
      assembly: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const print = (text: string) => void process.stdout.write(`${text}\n`)
  if (values.help) return print(usage)
  const stage = stageOf(values.stage)
  const aliases = openAliases(stage, print)
  try {
    const before = (await aliases.versions()).join()
    // Written before the deployment, so that the workflow can roll back one that fails halfway.
    if (process.env.GITHUB_OUTPUT) appendFileSync(process.env.GITHUB_OUTPUT, `before=${before}\n`)
    const assembly = resolve(values.assembly ?? join(root, 'infra/cdk.out'))
    if (!values.assembly) {
      run(['npm', 'run', 'build'], { cwd: root, timeout: buildMsMax })
      run(['npm', 'run', 'synth'], { cwd: root, timeout: buildMsMax })
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
      { cwd: join(root, 'infra'), timeout: deployMsMax },
    )
    const outputs = Object.entries(await readOutputs(stage)).sort()
    print(`\n${outputs.map(([name, value]) => `${name.padEnd(20)} ${value}`).join('\n')}\n`)
    print(`live:     ${(await aliases.versions()).join()}`)
    print(`Try it:   npm run smoke -- --stage ${stage}`)
    if (before) print(`Undo:     npm run rollback -- --stage ${stage} --to ${before}`)
  } catch (error) {
    throw explain(error)
  } finally {
    aliases.close()
  }
})

function run([command = '', ...options]: string[], limits: { cwd: string; timeout: number }): void {
  try {
    execFileSync(command, options, { ...limits, stdio: 'inherit' })
  } catch (error) {
    // The command has already printed the reason.
    const { status, signal } = error as { status: number | null; signal: string | null }
    throw new Error(`${[command, ...options].join(' ')} failed with ${status ?? signal}.`)
  }
}
