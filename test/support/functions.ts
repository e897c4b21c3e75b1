// The functions' package, unpacked from its ZIP into an empty folder like on AWS. The first caller builds it for the whole
// run.
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { unzipSync } from 'fflate'
import { inject } from 'vitest'
import { buildFunctions } from '../../tools/build-functions.ts'
import { zipFolder } from '../../tools/zip.ts'
import { until } from './wait.ts'

/** @returns the ZIP, and the folder with its content */
export async function packagedFunctions(): Promise<{ zip: string; folder: string }> {
  const shared = inject('functionsFolder')
  const zip = join(shared, 'functions.zip')
  const folder = join(shared, 'unpacked')
  const isFirst = await mkdir(join(shared, 'building')).then(
    () => true,
    () => false,
  )
  if (isFirst) {
    const scratch = await mkdtemp(join(shared, 'scratch-'))
    await buildFunctions(join(scratch, 'built'))
    zipFolder(join(scratch, 'built'), zip)
    await unpack(zip, join(scratch, 'unpacked'))
    await rename(join(scratch, 'unpacked'), folder)
  } else await until('the functions to be built', () => existsSync(folder), 50_000)
  return { zip, folder }
}

async function unpack(zip: string, folder: string): Promise<void> {
  for (const [name, bytes] of Object.entries(unzipSync(await readFile(zip)))) {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes)
  }
}
