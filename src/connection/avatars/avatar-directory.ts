// The embedded avatar store, in a directory that several processes may share.
import {
  access,
  constants,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { avatarPrefix, isAvatarKey } from '../../model/avatar-key.ts'
import { unavailable } from '../../model/errors.ts'
import { type AvatarStore, checkedKey, type StoredAvatar } from './avatar-store.ts'

// Each concurrent removal may delete a user's folder once between its creation and the write into it.
const attemptsMax = 10
// A listing ends with the user who brings it to this number. A user has one avatar, or briefly a few.
const listedMax = 1_000

/** @param directory created on first use */
export function openAvatarDirectory(directory: string): AvatarStore {
  return {
    put: async (key, bytes) => {
      const path = join(directory, checkedKey(key))
      // In the same folder, so that the rename is atomic and the folder cannot be removed until then.
      const temporary = join(dirname(path), `.${crypto.randomUUID()}.tmp`)
      try {
        await writeNew(temporary, bytes)
        await rename(temporary, path)
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => {})
        throw unavailable('The avatar store', error)
      }
    },
    remove: async (key) => {
      const path = join(directory, checkedKey(key))
      try {
        await rm(path, { force: true })
      } catch (error) {
        throw unavailable('The avatar store', error)
      }
      // Fails unless the folder is empty; a remaining folder does no harm.
      await rmdir(dirname(path)).catch(() => {})
    },
    read: async (key) => {
      if (!isAvatarKey(key)) return undefined
      try {
        return await readFile(join(directory, key))
      } catch (error) {
        if (isMissing(error)) return undefined
        throw unavailable('The avatar store', error)
      }
    },
    list: async (after) => {
      try {
        const users = (await readdir(join(directory, avatarPrefix)).catch(emptyIfMissing)).sort()
        const found: StoredAvatar[] = []
        for (const user of users.filter((user) => after === undefined || `${avatarPrefix}${user}0` > after)) {
          if (found.length >= listedMax) return { found, next: found.at(-1)?.key }
          const files = (await readdir(join(directory, avatarPrefix, user)).catch(emptyIfMissing)).sort()
          for (const key of files.map((file) => `${avatarPrefix}${user}/${file}`).filter(isAvatarKey)) {
            if (after !== undefined && key <= after) continue
            const status = await stat(join(directory, key)).catch(() => undefined)
            if (status) found.push({ key, storedAt: status.mtime })
          }
        }
        return { found, next: undefined }
      } catch (error) {
        throw unavailable('The avatar store', error)
      }
    },
    check: async () => {
      try {
        await mkdir(directory, { recursive: true })
        await access(directory, constants.R_OK | constants.W_OK)
      } catch (error) {
        throw unavailable('The avatar store', error)
      }
    },
    close: async () => {},
  }
}

async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await mkdir(dirname(path), { recursive: true })
    try {
      // Flushed before the rename, so that a power failure leaves no empty file under the final name.
      await writeFile(path, bytes, { flag: 'wx', flush: true })
      return
    } catch (error) {
      if (!isMissing(error) || attempt === attemptsMax) throw error
    }
  }
}

function emptyIfMissing(error: unknown): string[] {
  if (isMissing(error)) return []
  throw error
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
