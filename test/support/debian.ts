// Fetches programs for tests from the distribution's packages, without installing them and without root.
import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )

/** @returns the program's path, or undefined if it is not on the PATH */
export async function findOnPath(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter))
    if (await exists(join(folder, name))) return join(folder, name)
  return undefined
}

/**
 * Downloads and unpacks packages, once for each checkout.
 * @param program its path in the packages
 * @param packages the program's packages and its libraries, by Debian's and Ubuntu's names; a release may lack some
 * @throws Error if the distribution does not have the program, or it does not run
 */
export async function fetchProgram({
  name,
  program,
  packages,
}: {
  name: string
  program: string
  packages: string[]
}): Promise<{ command: string; env: Record<string, string> }> {
  const fetched = resolve('node_modules/.cache', name)
  if (!(await exists(fetched))) {
    await mkdir(resolve(fetched, '..'), { recursive: true })
    const work = await mkdtemp(`${fetched}-`)
    try {
      await download(packages, work, [])
      if (!(await exists(join(work, program)))) {
        // The machine's package lists are missing or old, so a private copy is updated.
        const state = ['-o', `Dir::State::lists=${work}/lists`, '-o', `Dir::Cache=${work}/cache`]
        await mkdir(join(work, 'lists/partial'), { recursive: true })
        await mkdir(join(work, 'cache/archives/partial'), { recursive: true })
        await run('apt-get', [...state, 'update'], { timeout: 120_000 })
        await download(packages, work, state)
      }
      if (!(await exists(join(work, program))))
        throw new Error(`the distribution's packages do not contain ${program}`)
      for (const folder of ['lists', 'cache']) await rm(join(work, folder), { recursive: true, force: true })
      // Renamed at the end, so that concurrent runs never see an incomplete folder.
      await rename(work, fetched).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
      })
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }
  const libraries = join(fetched, 'usr/lib')
  const folders = [libraries, ...(await readdir(libraries)).map((folder) => join(libraries, folder))]
  const command = join(fetched, program)
  const env = { LD_LIBRARY_PATH: folders.join(':') }
  await run(command, ['--version'], { env: { ...process.env, ...env } })
  return { command, env }
}

// Chromium needs some hundred packages.
const downloadsMax = 8

async function download(packages: string[], work: string, state: string[]): Promise<void> {
  const waiting = [...packages]
  const takeTurns = async () => {
    // One by one, because an unknown name must not stop the others.
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop())
      await run('apt-get', [...state, 'download', name], { cwd: work, timeout: 120_000 }).catch(() => {})
  }
  await Promise.all(Array.from({ length: downloadsMax }, takeTurns))
  for (const name of await readdir(work))
    if (name.endsWith('.deb')) {
      await run('dpkg-deb', ['-x', join(work, name), work])
      await rm(join(work, name))
    }
}
