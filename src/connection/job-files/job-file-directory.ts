// The embedded store of job files, in a directory that several processes may share.
import { createReadStream } from 'node:fs'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ServiceError, unavailable } from '../../model/errors.ts'
import type { JobFileStore } from './job-file-store.ts'

const partBytes = 256 * 1024

/** @param directory created on first use; only its owner may enter it */
export function openJobFileDirectory(directory: string): JobFileStore {
  const pathOf = (id: string): string => join(directory, id)
  return {
    write: async (id, bytes) => {
      const onDisk = async <T>(work: Promise<T>): Promise<T> => {
        try {
          return await work
        } catch (error) {
          throw unavailable('The store of job files', error)
        }
      }
      await onDisk(mkdir(directory, { recursive: true, mode: 0o700 }))
      const file = await onDisk(open(pathOf(id), 'wx', 0o600))
      try {
        for await (const part of bytes) await onDisk(writeAll(file, part))
        await onDisk(file.sync())
      } catch (error) {
        await file.close().catch(() => {})
        await rm(pathOf(id), { force: true }).catch(() => {})
        throw error
      }
      await onDisk(file.close())
    },
    read: async function* (id) {
      const stream = createReadStream(pathOf(id), { highWaterMark: partBytes })
      try {
        for await (const part of stream) yield part as Buffer
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw noSuchFile()
        throw unavailable('The store of job files', error)
      } finally {
        stream.destroy()
      }
    },
    remove: async (id) => {
      try {
        await rm(pathOf(id), { force: true })
      } catch (error) {
        throw unavailable('The store of job files', error)
      }
    },
    close: async () => {},
  }
}

async function writeAll(
  file: { write(bytes: Uint8Array): Promise<{ bytesWritten: number }> },
  part: Uint8Array,
) {
  for (let at = 0; at < part.length; ) at += (await file.write(part.subarray(at))).bytesWritten
}

export function noSuchFile(): ServiceError {
  return new ServiceError('not_found', 'The file has been removed. Files are kept for a day after their job.')
}
