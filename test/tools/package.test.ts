// The functions' package is complete and reproducible.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { buildFunctions } from '../../tools/build-functions.ts'
import { zipFolder } from '../../tools/zip.ts'
import { freshDatabase } from '../support/database.ts'
import { packagedFunctions } from '../support/functions.ts'
import { startFunction } from '../support/lambda.ts'

const { zip, folder } = await packagedFunctions()

it('two builds give the same bytes, and source maps with paths of the repository', async () => {
  // As deep as the first, because source maps contain relative paths.
  const place = await mkdtemp(join(dirname(zip), '../again-'))
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

it('the package contains no source maps of the service, and names its processor', async () => {
  const files = await readdir(folder, { recursive: true })
  const own = files.filter((file) => !file.startsWith('node_modules'))
  expect(own).toContain('api.js')
  expect(own.filter((file) => file.endsWith('.map'))).toEqual([])
  expect(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')).cpu).toEqual([process.arch])
})

it('the package unpacked into an empty folder migrates a database', async () => {
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
