// The functions' package, unpacked from its ZIP into an empty folder like on AWS.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { unzipSync } from 'fflate'
import { buildFunctions } from '../../tools/build-functions.ts'
import { zipFolder } from '../../tools/zip.ts'
import { builtOnce } from './once.ts'

/** @returns the ZIP, and the folder with its content */
export async function packagedFunctions(): Promise<{ zip: string; folder: string }> {
  const shared = await builtOnce('functions', async (folder) => {
    await buildFunctions(join(folder, 'built'))
    zipFolder(join(folder, 'built'), join(folder, 'functions.zip'))
    await unpack(join(folder, 'functions.zip'), join(folder, 'unpacked'))
  })
  return { zip: join(shared, 'functions.zip'), folder: join(shared, 'unpacked') }
}

async function unpack(zip: string, folder: string): Promise<void> {
  for (const [name, bytes] of Object.entries(unzipSync(await readFile(zip)))) {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes)
  }
}
