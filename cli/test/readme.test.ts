import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { startService } from '../../test/support/service.ts'
import { openShell } from './command.ts'

it('the commands of the README run as they are', async () => {
  const service = await startService()
  startJobRunner(service)
  const { config, bin } = await openShell()
  const readme = await readFile(join(import.meta.dirname, '../README.md'), 'utf8')
  const examples = [...readme.matchAll(/```sh\n(.*?)```/gs)].map(([, example]) => example).join('')
  const env = {
    PATH: `${bin}:${process.env.PATH}`,
    XDG_CONFIG_HOME: config,
    USER_DIRECTORY_SERVER: service.url,
    USER_DIRECTORY_TOKEN: service.tokens.admin,
  }
  const { stdout } = await promisify(execFile)('bash', ['-ec', examples], { env, cwd: config })
  expect(stdout).toContain('Ada Lovelace')
  expect(stdout).toContain('ada.example is blocked.')
  expect(stdout).toContain('ada.example is erased.')
  expect(await readFile(join(config, 'bob.csv'), 'utf8')).toContain('bob.example')
})
