// The functions' package: the same bytes from the same sources, and whole.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { buildFunctions } from '../../tools/build-functions.ts'
import { zipFolder } from '../../tools/zip.ts'
import { freshDatabase } from '../support/database.ts'
import { packagedFunctions } from '../support/functions.ts'
import { startFunction } from '../support/lambda.ts'

const { zip, folder } = await packagedFunctions()

it('two builds give the same bytes, and source maps that show the repository’s files wherever it is', async () => {
  // As deep as the first: source maps tell where the sources are from there.
  const place = await mkdtemp(join(dirname(zip), 'again-'))
  onTestFinished(() => rm(place, { recursive: true, force: true }))
  await buildFunctions(join(place, 'built'))
  zipFolder(join(place, 'built'), join(place, 'again.zip'))
  expect((await readFile(zip)).equals(await readFile(join(place, 'again.zip')))).toBe(true)

  const maps = await readdir(join(place, 'built-maps'), { recursive: true })
  expect(maps).toContain('api.js.map')
  for (const file of maps.filter((file) => file.endsWith('.map'))) {
    const { sourcesContent } = JSON.parse(await readFile(join(place, 'built-maps', file), 'utf8'))
    expect(sourcesContent.join('\n'), file).not.toContain(process.cwd())
  }
})

it('the package holds no source maps of ours and says which processor it is for', async () => {
  const files = await readdir(folder, { recursive: true })
  const own = files.filter((file) => !file.startsWith('node_modules'))
  expect(own).toContain('api.js')
  expect(own.filter((file) => file.endsWith('.map'))).toEqual([])
  expect(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')).cpu).toEqual([process.arch])
})

it('what is unpacked into an empty folder looks after a database', async () => {
  const env = {
    NODE_ENV: 'production',
    DATABASE_URL: await freshDatabase(),
    REDIS_URL: 'redis://127.0.0.1:9',
    AVATAR_BUCKET: 'none',
    COGNITO_USER_POOL_ID: 'eu-west-1_AbCdEfGhI',
    COGNITO_CLIENT_ID: 'client',
  }
  const { invoke, close } = await startFunction(join(folder, 'migrate.js'), env, () => {})
  onTestFinished(close)
  expect(await invoke({})).toMatchObject({ warnings: expect.any(Array) })
  expect(await invoke({})).toMatchObject({ warnings: expect.any(Array) })
})
