// The bundle that `npm start` runs.
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync } from 'node:fs'
import { mkdir, readdir, rm, stat, symlink, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { serverBundle } from '../../tools/server-bundle.mjs'

const execute = promisify(execFile)

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'user-directory-bundle-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

it('two starts at the same moment leave one whole bundle and nothing unfinished', async () => {
  const folder = emptyFolder()
  const bundle = join(folder, 'bundle')
  const build = () => execute(process.execPath, ['tools/build-start.ts', bundle])
  await Promise.all([build(), build()])
  expect(await readdir(folder)).toEqual(['bundle'])
  expect(existsSync(join(bundle, 'handler/node/server.js'))).toBe(true)
})

it('a build removes the bundles that are older than a day', async () => {
  const folder = emptyFolder()
  const [old, recent] = [join(folder, 'old'), join(folder, 'recent')]
  await mkdir(old)
  await mkdir(recent)
  const twoDaysAgo = new Date(Date.now() - 2 * 24 * 60 * 60 * 1000)
  await utimes(old, twoDaysAgo, twoDaysAgo)
  await execute(process.execPath, ['tools/build-start.ts', join(folder, 'bundle')])
  expect((await readdir(folder)).sort()).toEqual(['bundle', 'recent'])
})

it('a build succeeds beside a bundle that vanishes meanwhile', async () => {
  const folder = emptyFolder()
  // A link to nowhere is listed but has no state, like a folder that was just removed.
  await symlink(join(folder, 'nowhere'), join(folder, 'vanished'))
  await execute(process.execPath, ['tools/build-start.ts', join(folder, 'bundle')])
  expect(existsSync(join(folder, 'bundle/handler/node/server.js'))).toBe(true)
})

it('a start makes an old bundle count as used', async () => {
  const folder = dirname(dirname(dirname(serverBundle())))
  const twoDaysAgo = new Date(Date.now() - 2 * 24 * 60 * 60 * 1000)
  await utimes(folder, twoDaysAgo, twoDaysAgo)
  serverBundle()
  expect((await stat(folder)).mtime > twoDaysAgo).toBe(true)
})

it('the same sources have one bundle', () => {
  expect(serverBundle()).toBe(serverBundle())
})
