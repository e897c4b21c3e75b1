// Programs for tests from the distribution's packages: neither installed nor in need of root.
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

/** @returns the program's path, undefined when no folder of the PATH has it */
export async function findOnPath(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter))
    if (await exists(join(folder, name))) return join(folder, name)
  return undefined
}

/**
 * Downloads and unpacks packages, once a checkout.
 * @param program its path in the packages
 * @param packages the program's, and those of libraries that a machine may lack, by Debian's and Ubuntu's names; not
 *   all need to exist in every release
 * @throws Error when the distribution does not have it, or it does not run
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
        // The machine has no package lists, or old ones: a private copy is brought up to date.
        const state = ['-o', `Dir::State::lists=${work}/lists`, '-o', `Dir::Cache=${work}/cache`]
        await mkdir(join(work, 'lists/partial'), { recursive: true })
        await mkdir(join(work, 'cache/archives/partial'), { recursive: true })
        await run('apt-get', [...state, 'update'], { timeout: 120_000 })
        await download(packages, work, state)
      }
      if (!(await exists(join(work, program)))) throw new Error(`the distribution has no ${program}`)
      for (const folder of ['lists', 'cache']) await rm(join(work, folder), { recursive: true, force: true })
      // Put into place whole: of two runs at once the second finds it there.
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

async function download(packages: string[], work: string, state: string[]): Promise<void> {
  // One by one: a name that this release does not know must not stop the others.
  await Promise.all(
    packages.map((name) =>
      run('apt-get', [...state, 'download', name], { cwd: work, timeout: 120_000 }).catch(() => {}),
    ),
  )
  for (const name of await readdir(work))
    if (name.endsWith('.deb')) {
      await run('dpkg-deb', ['-x', join(work, name), work])
      await rm(join(work, name))
    }
}
