// Builds what several test files run. The first caller builds it for the whole run.
import { existsSync } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { inject } from 'vitest'
import { until } from './wait.ts'

/** @returns the folder that `build` has filled */
export async function builtOnce(name: string, build: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(inject('sharedFolder'), name)
  const isFirst = await mkdir(`${folder}-claimed`).then(
    () => true,
    () => false,
  )
  if (isFirst) {
    const unfinished = `${folder}-unfinished`
    await mkdir(unfinished)
    await build(unfinished)
    await rename(unfinished, folder)
  } else await until(`${name} to be built`, () => existsSync(folder), 50_000)
  return folder
}
