// The command line as it is packed and installed into an empty folder.
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }
import { atEnd } from '../../test/support/cleanup.ts'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { installPackages } from '../../test/support/package.ts'
import { startService, uniqueName } from '../../test/support/service.ts'

const run = promisify(execFile)
const cli = join(import.meta.dirname, '..')
await run('npm', ['run', 'build'], { cwd: cli, timeout: 120_000 })
const folder = await installPackages([cli])
const installed = join(folder, 'node_modules/user-directory-cli')
const service = await startService()
startJobRunner(service)

const config = await mkdtemp(join(tmpdir(), 'user-directory-cli-'))
atEnd(() => rm(config, { recursive: true }))
const command = async (...words: string[]) => {
  const env = {
    PATH: process.env.PATH,
    XDG_CONFIG_HOME: config,
    USER_DIRECTORY_SERVER: service.url,
    USER_DIRECTORY_TOKEN: service.tokens.admin,
  }
  const path = join(folder, 'node_modules/.bin/user-directory')
  return (await run(path, words, { cwd: config, env, timeout: 60_000 })).stdout
}

it('the package needs no other package, and holds the command and the licences alone', async () => {
  expect(await readdir(join(folder, 'node_modules'))).toEqual(
    expect.not.arrayContaining(['commander', 'openapi-fetch']),
  )
  const files = await readdir(installed, { recursive: true })
  expect(files.filter((file) => !/^dist\/[\w-]+\.js$/.test(file)).sort()).toEqual([
    'README.md',
    'dist',
    'dist/THIRD-PARTY-LICENSES.txt',
    'package.json',
  ])
  expect(JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))).not.toHaveProperty(
    'dependencies',
  )
})

it('the licences are those of all bundled packages', async () => {
  const texts = await readFile(join(installed, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8')
  const packages = [...texts.matchAll(/^(\S+) \d+\.\d+\.\d+$/gm)].map(([, name]) => name)
  expect(packages).toEqual(
    expect.arrayContaining(['@clack/core', 'commander', 'oauth4webapi', 'openapi-fetch']),
  )
  expect(texts.match(/Permission is hereby granted/g)).toHaveLength(packages.length)
  expect(texts).not.toContain(process.cwd())
})

it('the installed command moves users in and out', async () => {
  expect(await command('--version')).toBe(`${manifest.version}\n`)
  const username = uniqueName()
  await writeFile(join(config, 'users.ndjson'), `{"username":"${username}"}\n`)
  expect(await command('import', 'users.ndjson')).toMatch(/^created +1$/m)
  expect(await command('users', 'get', username)).toContain(username)
  expect(JSON.parse(await command('export', '-', '--username', username))).toMatchObject({ username })
  expect(await command('users', 'erase', username, '--yes')).toContain('is erased')
})
