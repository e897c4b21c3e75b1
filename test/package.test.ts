// The functions' package: the same bytes from the same sources, whole, and lean where reads are answered.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { unzipSync } from 'fflate'
import { afterAll, expect, it, onTestFinished } from 'vitest'
import { buildFunctions } from '../tools/build-functions.ts'
import { contents, staticOutputs } from '../tools/bundle.ts'
import { zipFolder } from '../tools/zip.ts'
import { freshDatabase } from './support/database.ts'
import { startFunction } from './support/lambda.ts'

const folder = await mkdtemp(join(tmpdir(), 'user-directory-package-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
const metafile = await buildFunctions(join(folder, 'one'))
zipFolder(join(folder, 'one'), join(folder, 'one.zip'))

it('two builds give the same bytes', async () => {
  await buildFunctions(join(folder, 'two'))
  zipFolder(join(folder, 'two'), join(folder, 'two.zip'))
  expect(readFileSync(join(folder, 'one.zip')).equals(readFileSync(join(folder, 'two.zip')))).toBe(true)
})

it('what is unpacked into an empty folder looks after a database', async () => {
  const place = join(folder, 'unpacked')
  for (const [name, bytes] of Object.entries(unzipSync(readFileSync(join(folder, 'one.zip'))))) {
    mkdirSync(dirname(join(place, name)), { recursive: true })
    writeFileSync(join(place, name), bytes)
  }
  const env = {
    NODE_ENV: 'production',
    DATABASE_URL: await freshDatabase(),
    REDIS_URL: 'redis://127.0.0.1:9',
    AVATAR_BUCKET: 'none',
    COGNITO_USER_POOL_ID: 'eu-west-1_AbCdEfGhI',
    COGNITO_CLIENT_ID: 'client',
  }
  const { invoke, close } = await startFunction(join(place, 'migrate.js'), env, () => {})
  onTestFinished(close)
  expect(await invoke({})).toMatchObject({ warnings: expect.any(Array) })
  expect(await invoke({})).toMatchObject({ warnings: expect.any(Array) })
})

it('a read starts with at most 350 KB, and without clients of AWS, an image codec, PostgreSQL’s driver, or schemas', () => {
  const entry = Object.keys(metafile.outputs).find((name) => name.endsWith('/api.js')) ?? ''
  const files = staticOutputs(metafile, entry)
  const bytes = files.reduce((sum, file) => sum + (metafile.outputs[file]?.bytes ?? 0), 0)
  expect(bytes).toBeLessThan(350 * 1024)
  const names = [...contents(metafile, files).keys()]
  // The list is real: it has what is needed at once.
  expect(names).toContain('src/handler/app.ts')
  expect(
    names.filter((name) => /^(@aws-sdk|@smithy|aws4|sharp|@img|@node-rs|pg|drizzle-orm|zod)/.test(name)),
  ).toEqual([])
})
