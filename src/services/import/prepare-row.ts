// Does the expensive work of a row before the database is involved: hashes a password and decodes an avatar.
import { setTimeout as pause } from 'node:timers/promises'
import { isAvatarKey } from '../../model/avatar-key.ts'
import { type Fault, ServiceError } from '../../model/errors.ts'
import { isDataUri } from '../avatars/base64-image.ts'
import { type AvatarChange, readAvatarField } from '../avatars/change.ts'
import type { ServiceContext } from '../context.ts'
import { hashPassword, unknownUserHash } from '../identity/passwords.ts'
import { jobShare } from '../jobs/job-run.ts'
import type { Checked, CheckedRow } from './check-row.ts'

const busyPauseMs = 1_000

type Options = {
  /** Makes no hash, because it would not be stored. */
  isDryRun: boolean
  /** Leaves out an avatar's path that has no image in the store. Otherwise the row is refused. */
  dropsMissingAvatar: boolean
  signal: AbortSignal
}

/** Whether a row needs `prepareRow`. */
export function isExpensive({ avatar, passwordHash }: CheckedRow): boolean {
  return passwordHash === undefined || typeof avatar === 'string'
}

/** @throws ServiceError `unavailable`; the reason of `signal` */
export async function prepareRow(ctx: ServiceContext, row: CheckedRow, options: Options): Promise<Checked> {
  const { password, avatar: image, ...user } = row.user
  let { avatar, passwordHash } = row
  if (typeof image === 'string') {
    const found = await whenFree(() => avatarOf(ctx, image, options), options.signal)
    if ('fault' in found) return { line: row.line, faults: [found.fault] }
    avatar = found.avatar
  }
  if (passwordHash === undefined && typeof password === 'string')
    passwordHash = options.isDryRun
      ? unknownUserHash
      : await whenFree(() => hashPassword(jobShare, password), options.signal)
  return { ...row, user, avatar, passwordHash }
}

async function avatarOf(
  ctx: ServiceContext,
  image: string,
  { dropsMissingAvatar }: Options,
): Promise<{ avatar: AvatarChange | undefined } | { fault: Fault }> {
  if (!isDataUri(image)) {
    if (!isAvatarKey(image))
      return refused('must be a base64 data URI of an image, or the path of one in the store')
    if (await ctx.avatars.read(image)) return { avatar: image }
    if (dropsMissingAvatar) return { avatar: undefined }
    return refused(
      'has no image in the store; copy the images first, or import without them: options.missing_avatars = "drop"',
    )
  }
  try {
    return { avatar: await readAvatarField(image, jobShare) }
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code === 'overloaded') throw error
    return refused(error.faults[0]?.message ?? error.message)
  }
}

function refused(message: string): { fault: Fault } {
  return { fault: { pointer: '/avatar', message } }
}

/** Repeats work while a queue is full: a job can wait, and requests come first. */
async function whenFree<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;)
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'overloaded') throw error
      await pause(busyPauseMs, undefined, { signal })
    }
}
