import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { startService } from '../../test/support/service.ts'

it('the example in the README runs as it is', async () => {
  const service = await startService()
  const readme = await readFile(join(import.meta.dirname, '../README.md'), 'utf8')
  const [, example = ''] = /```js\n(.*?)```/s.exec(readme) ?? []
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
    expect(stdout.trim().split('\n')).toEqual(['Ada Lovelace', '412 2'])
  } finally {
    await rm(file)
  }
  expect(await service.call('GET', '/user?search=ada.example')).toMatchObject({ body: { items: [] } })
})
