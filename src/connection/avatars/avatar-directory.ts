// Avatars in a directory: the embedded default. Several processes may share it.
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
import { unavailable } from '../../model/errors.ts'
import { type AvatarStore, checkedKey, isAvatarKey, type StoredAvatar } from './avatar-store.ts'

// A user's folder may vanish between making it and writing into it, once for every removal under way.
const attemptsMax = 10
// A user has one avatar, or a few for a moment: listing ends at the user with whom there are this many.
const listedMax = 1_000

/** @param directory where `avatars/<user id>/<sha256>.webp` is kept; made on first use */
export function openAvatarDirectory(directory: string): AvatarStore {
  return {
    put: async (key, bytes) => {
      const path = join(directory, checkedKey(key))
      // Beside its place, so that renaming it is atomic; while it is there the folder cannot be removed.
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
      // Succeeds only for an empty folder, and one that stays does no harm.
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
        const users = (await readdir(join(directory, 'avatars')).catch(emptyIfMissing)).sort()
        const found: StoredAvatar[] = []
        for (const user of users.filter((user) => after === undefined || `avatars/${user}0` > after)) {
          if (found.length >= listedMax) return { found, next: found.at(-1)?.key }
          const files = (await readdir(join(directory, 'avatars', user)).catch(emptyIfMissing)).sort()
          for (const key of files.map((file) => `avatars/${user}/${file}`).filter(isAvatarKey)) {
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
      // Flushed before it is renamed: a power cut must not leave an empty file under a name that says
      // what is in it.
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
