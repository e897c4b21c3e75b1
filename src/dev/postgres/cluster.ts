// The files of a checkout's cluster: its folder, the password and the data.
import { execFile } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import {
  access,
  chown,
  constants,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Binaries, findBinaries } from './binaries.ts'
import { codeOf } from './error-code.ts'
import { isAlive } from './process-id.ts'
import { chooseUser, commandFor, ownerOf, type User } from './run-as.ts'

const run = promisify(execFile)

export const superuser = 'postgres'
const initMsMax = 30_000
// An initialisation takes seconds. An older draft is abandoned, even if another process has its creator's id now.
const draftMsMax = 600_000

/** A UTF-8 locale that every system has, and that classifies letters of every script. */
const unicodeLocales: Partial<Record<NodeJS.Platform, string>> = { darwin: 'en_US.UTF-8', win32: 'en-US' }

export type Cluster = {
  home: string
  data: string
  binaries: Binaries
  /** The user to run PostgreSQL as; undefined for the current user. */
  runAs: User | undefined
  password: string
  /** false: faster, but loses data in a power failure. */
  durable: boolean
}

/** @param home created on first use. @throws Error that says what to do */
export async function openCluster(home: string, { durable }: { durable: boolean }): Promise<Cluster> {
  const data = join(home, 'data')
  const binaries = await findBinaries()
  await openHome(home, data)
  const runAs = await chooseUser(home, data, binaries.initdb)
  return { home, data, binaries, runAs, password: await readPassword(home, data), durable }
}

/** Creates the folder, or reports that another user owns it, which PostgreSQL would report less clearly. */
async function openHome(home: string, data: string): Promise<void> {
  const uid = process.geteuid?.()
  try {
    await mkdir(home, { recursive: true })
    await access(home, constants.R_OK | constants.W_OK | constants.X_OK)
    if (!uid || ((await ownerOf(data))?.uid ?? uid) === uid) return
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error) ?? '')) throw error
  }
  throw new Error(
    `${home} cannot be used: it, or the data in it, belongs to another user. Start as that user, delete it (with its data) as that user, or set DATABASE_URL.`,
  )
}

async function readPassword(home: string, data: string): Promise<string> {
  const path = join(home, 'password')
  const read = () =>
    readFile(path, 'utf8').catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    })
  // Checked before the password, which another starting process writes before the data.
  const hadData = await isInitialised(data)
  const existing = await read()
  if (existing) return existing
  if (hadData)
    throw new Error(
      `The password of the database in ${home} is missing: ${path}. Restore it, or delete the folder to start again without its data.`,
    )
  const draft = draftPath(home)
  await writeFile(draft, randomBytes(24).toString('base64url'), { mode: 0o600 })
  try {
    // Of two processes that start at once, the second uses the first one's password.
    await link(draft, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    await rm(draft)
  }
  return (await read()) ?? ''
}

async function isInitialised(data: string): Promise<boolean> {
  return (await ownerOf(join(data, 'PG_VERSION'))) !== undefined
}

function draftPath(home: string): string {
  return join(home, `draft-${process.pid}-${randomUUID()}`)
}

/** Removes the unfinished files of processes that were killed. */
async function removeDrafts(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    const [, pid] = /^draft-(\d+)-/.exec(name) ?? []
    const found = pid && (await stat(join(home, name)).catch(() => undefined))
    if (found && (!isAlive(Number(pid)) || Date.now() - found.mtimeMs > draftMsMax))
      // The killed process's initdb may still be writing; a draft that remains does no harm.
      await rm(join(home, name), { recursive: true, force: true, maxRetries: 3 }).catch(() => {})
  }
}

/**
 * Creates the data unless it exists. It is created as a draft and renamed, so that a killed process leaves no
 * incomplete data behind.
 * @throws Error that says what to do
 */
export async function initialise({ home, data, binaries, runAs, password, durable }: Cluster): Promise<void> {
  await removeDrafts(home)
  if (await isInitialised(data)) return
  const draft = draftPath(home)
  const passwordFile = `${draft}.password`
  await mkdir(draft, { mode: 0o700 })
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (runAs) for (const path of [draft, passwordFile]) await chown(path, runAs.uid, runAs.gid)
  try {
    const { command, options, identity } = commandFor(runAs, binaries.initdb, [
      `--pgdata=${draft}`,
      `--username=${superuser}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      // Up to PostgreSQL 18, pg_trgm classifies letters by the C library's locale.
      `--lc-ctype=${unicodeLocales[process.platform] ?? 'C.UTF-8'}`,
      ...(durable ? [] : ['--no-sync']),
    ])
    await run(command, options, { ...identity, cwd: home, timeout: initMsMax })
    await rename(draft, data)
  } catch (error) {
    // Another process has created it.
    if (await isInitialised(data)) return
    const { stderr, message } = error as { stderr?: string; message: string }
    throw new Error(
      `The embedded PostgreSQL cannot be initialised in ${home}. Fix the cause, or set DATABASE_URL: ${stderr || message}`,
      { cause: error },
    )
  } finally {
    await rm(draft, { recursive: true, force: true })
    await rm(passwordFile, { force: true })
  }
}

/** The last lines of PostgreSQL's log. */
export async function logTail(home: string): Promise<string> {
  const text = await readFile(logPath(home), 'utf8').catch(() => '')
  return text.split('\n').slice(-8).join('\n')
}

export function logPath(home: string): string {
  return join(home, 'postgres.log')
}
