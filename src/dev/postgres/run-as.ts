// Chooses the user to run PostgreSQL as: it refuses to run as root.
import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { codeOf } from './error-code.ts'

const run = promisify(execFile)
const probeMsMax = 30_000

export type User = { uid: number; gid: number; capability?: string }

/**
 * The user must be able to read PostgreSQL's files, which may be in a folder that only root may enter.
 * @returns undefined to run it as the current user
 * @throws Error that says what to do
 */
export async function chooseUser(home: string, data: string, initdb: string): Promise<User | undefined> {
  if (process.geteuid?.() !== 0) return undefined
  const owner = await ownerOf(data)
  const user = owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : await findNobody()
  // Root has copied the data, but PostgreSQL must own its files.
  if (owner?.uid === 0) await run('chown', ['-Rh', `${user.uid}:${user.gid}`, data])
  // The least capability that suffices: `dac_read_search` reads root's files. `dac_override` is needed where only root
  // may execute the binaries, or where a container lacks the other.
  for (const capability of [undefined, 'dac_read_search', 'dac_override']) {
    if (!capability && !(await isReachable(home, user))) continue
    const candidate = capability ? { ...user, capability } : user
    if (await canRun(candidate, initdb)) return candidate
  }
  throw new Error(
    `PostgreSQL must not run as root, and no other user can access ${home} and ${dirname(initdb)}. Start as an ordinary user, move the checkout to a folder that others may enter, or set DATABASE_URL.`,
  )
}

/** The owner of a file or folder; undefined if it does not exist. */
export async function ownerOf(path: string): Promise<{ uid: number; gid: number } | undefined> {
  return stat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
}

/**
 * The command line that runs a binary as a user. A capability is kept from root by `setpriv`; `no_setuid_fixup` makes
 * access(2), by which PostgreSQL checks its own files, respect it.
 */
export function commandFor(user: User | undefined, binary: string, options: string[]) {
  if (!user) return { command: binary, options, identity: {} }
  const { uid, gid, capability } = user
  if (!capability) return { command: binary, options, identity: { uid, gid } }
  return {
    command: 'setpriv',
    options: [
      `--reuid=${uid}`,
      `--regid=${gid}`,
      '--clear-groups',
      `--inh-caps=+${capability}`,
      `--ambient-caps=+${capability}`,
      `--bounding-set=-all,+${capability}`,
      '--securebits=+no_setuid_fixup',
      binary,
      ...options,
    ],
    identity: {},
  }
}

/** Runs `initdb --show`, which looks for all of PostgreSQL's files and changes nothing. */
async function canRun(user: User, initdb: string): Promise<boolean> {
  const { command, options, identity } = commandFor(user, initdb, ['--show', '--locale=C', '--pgdata=unused'])
  return run(command, options, { ...identity, cwd: '/', timeout: probeMsMax }).then(
    () => true,
    () => false,
  )
}

async function findNobody(): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (option) =>
      Number((await run('id', [option, 'nobody']).catch(() => undefined))?.stdout),
    ),
  )
  if (!uid || !gid)
    throw new Error('There is no user `nobody` to run PostgreSQL as. Start as an ordinary user.')
  return { uid, gid }
}

/** Whether a user may enter a folder: execute permission on it and on every folder above it. */
async function isReachable(path: string, { uid, gid }: User): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    const found = await stat(at)
    const shift = found.uid === uid ? 6 : found.gid === gid ? 3 : 0
    if (((found.mode >> shift) & 1) === 0) return false
    if (at === dirname(at)) return true
  }
}
