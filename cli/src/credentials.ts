// Keeps the tokens of each server in a file that only its owner can read.
import { randomUUID } from 'node:crypto'
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { CommandError } from './exit-codes.ts'

export type Credentials = {
  issuer: string
  client_id: string
  access_token: string
  /** In epoch seconds. */
  expires_at: number
  refresh_token?: string
  /** The scope of a machine client. */
  scope?: string
}

type CredentialFile = {
  /** The server of the last sign-in, for commands without `--server`. */
  default_server?: string
  servers: Record<string, Credentials>
}

/** XDG Base Directory Specification. */
function credentialPath(): string {
  const { XDG_CONFIG_HOME } = process.env
  // The specification ignores relative paths.
  const base = XDG_CONFIG_HOME?.startsWith('/') ? XDG_CONFIG_HOME : join(homedir(), '.config')
  return join(base, 'user-directory', 'credentials.json')
}

/** @throws CommandError if the file is damaged */
export async function readCredentials(): Promise<CredentialFile> {
  const path = credentialPath()
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{"servers":{}}'
    throw error
  })
  try {
    const { default_server, servers } = JSON.parse(text) as Partial<CredentialFile>
    return {
      ...(typeof default_server === 'string' && { default_server }),
      servers: Object.assign(Object.create(null), servers),
    }
  } catch {
    throw new CommandError('failed', `${path} is damaged. Remove it and sign in again.`)
  }
}

/**
 * Replaces the credentials of a server, one command at a time, because a refresh token may work only once.
 * @param change gets the present ones. Without a result, the server is removed
 * @throws whatever `change` throws, and then nothing is replaced
 */
export async function updateCredentials<T extends Credentials | undefined>(
  server: string,
  change: (stored: Credentials | undefined) => Promise<T>,
): Promise<T> {
  const path = credentialPath()
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  return withLock(`${path}.lock`, async () => {
    const file = await readCredentials()
    const changed = await change(file.servers[server])
    if (changed) {
      file.servers[server] = changed
      file.default_server = server
    } else {
      delete file.servers[server]
      if (file.default_server === server) delete file.default_server
    }
    await replaceFile(path, `${JSON.stringify(file, null, 2)}\n`)
    return changed
  })
}

/** A rename replaces the file at once, so that a command that reads meanwhile never sees half of it. */
async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomUUID()}`
  try {
    await writeFile(draft, text, { mode: 0o600 })
    // The mask of the process may have changed the mode.
    await chmod(draft, 0o600)
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

// Longer than a refresh may take. A lock as old belongs to a command that was killed.
const lockMsMax = 30_000
const lockPauseMs = 50

/** Creating a folder fails if it exists, on every file system. */
async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      await mkdir(path)
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }))
    if (Date.now() - mtimeMs > lockMsMax) await rm(path, { recursive: true, force: true })
    else await pause(lockPauseMs)
  }
  try {
    return await work()
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}
