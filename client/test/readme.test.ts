import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { startService } from '../../test/support/service.ts'

it('the example in the README runs as it is', async () => {
  const service = await startService()
  startJobRunner(service)
  const readme = await readFile(join(import.meta.dirname, '../README.md'), 'utf8')
  const example = [...readme.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code).join('')
  // Beside the sources, because Node strips no types below node_modules.
  const file = join(import.meta.dirname, `readme-${process.pid}.mjs`)
  await writeFile(
    file,
    example
      .replace('@user-directory/client', '../src/index.ts')
      .replace('http://localhost:3000', service.url),
  )
  try {
    const env = { ...process.env, TOKEN: service.tokens.admin }
    const { stdout } = await promisify(execFile)(process.execPath, [file], { env, timeout: 30_000 })
    const printed = stdout.trim().split('\n')
    expect([...printed.slice(0, 2), printed.at(-1)]).toEqual(['Ada Lovelace', '412 2', 'done 1'])
  } finally {
    await rm(file)
  }
  expect(await service.call('GET', '/user?search=ada.example')).toMatchObject({ body: { items: [] } })
})
