// Passwords are kept as Argon2id hashes, and nowhere else; a hash that another system made is checked as it is
// until it can be replaced by one of ours.
import { pbkdf2, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { overloaded } from '../../model/errors.ts'
import { preparePassword } from '../../model/password.ts'
import {
  argon2Parameters,
  type PasswordHash,
  parsePasswordHash,
  readsWhole,
} from '../../model/password-hash.ts'
import { fairQueue } from '../../platform/queue.ts'

// A hash takes a core for some ten milliseconds; one core is left to whoever is not hashing. They run on Node's
// thread pool, of four, where one thread must be left to files and name look-ups.
export const hashedAtOnce = Math.min(3, Math.max(1, availableParallelism() - 1))
const hashes = fairQueue(hashedAtOnce, { waiting: Number.POSITIVE_INFINITY })

// Two queues before the one that runs, in which callers take turns. Each brings the last one no more than it can run,
// so that creations and checks take turns too: a storm of sign-ins or an import delays the other by a few hashes.
// Work that could not be served within seconds is refused at once.
const creations = fairQueue(hashedAtOnce, { waiting: 5_000, waitMsMax: 5_000 })
// A sign-in must be answered within seconds, also when the hashes before it are costly.
const checks = fairQueue(hashedAtOnce, { waiting: 100 * hashedAtOnce, waitMsMax: 3_000 })

/** When a check must begin. */
type Turn = {
  /** Whose turn it takes: a source, a name or a user. */
  share: string
  /** When nobody waits any more for a check that has not begun; as `performance.now()` gives it. */
  beginUntil: number
}

/** A hash of today's parameters that no password fits: checked for whom there is no user, so that it takes as long. */
export const unknownUsersHash =
  '$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3MgMTYgYnl0ZQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'

/**
 * @param share the key of the caller whose turn it takes
 * @param password as `preparePassword` gives it
 * @returns `$argon2id$v=19$m=19456,t=2,p=1$…`
 * @throws ServiceError `overloaded` when too many are waiting
 */
export function hashPassword(share: string, password: string): Promise<string> {
  return creations(share, () => hashes('creation', () => makeHash(password)))
}

/**
 * Compares the prepared password and, where that is another, the password as it was typed: hashes of other systems,
 * and ours from before passwords were prepared, are of that one. How many checks are made depends on the password
 * alone, so that their time tells nothing of the user.
 * @param hash as it is stored
 * @returns the form that fits the hash
 * @throws ServiceError `overloaded` when too many are waiting, or it could not begin in time
 */
export async function verifyPassword(
  hash: string,
  password: string,
  turn: Turn,
): Promise<string | undefined> {
  let right: string | undefined
  for (const form of new Set([preparePassword(password), password]))
    if (await check(turn, () => verify(hash, form))) right ??= form
  return right
}

/**
 * Hashes a password that has just been checked, prepared.
 * @throws ServiceError as `verifyPassword`
 */
export function hashForRenewal(password: string, turn: Turn): Promise<string> {
  return check(turn, () => makeHash(preparePassword(password)))
}

function check<T>({ share, beginUntil }: Turn, work: () => Promise<T>): Promise<T> {
  return checks(share, () => hashes('check', () => inTime(beginUntil, work)))
}

async function inTime<T>(beginUntil: number, work: () => Promise<T>): Promise<T> {
  if (performance.now() <= beginUntil) return work()
  throw overloaded()
}

async function makeHash(password: string): Promise<string> {
  // Loaded on first use: reads never need it.
  const { hash } = await import('@node-rs/argon2')
  // The library's default algorithm is Argon2id.
  return hash(password, argon2Parameters)
}

/**
 * Whether a hash should be replaced by one of the prepared password: it is another system's, of parameters that are
 * not today's, or of another form. Never where a part of the password was not compared: that may be wrong.
 * @param checked the form of the password that fits it
 */
export function shouldRenew(hash: string, checked: string): boolean {
  const parsed = parse(hash)
  const isCurrent = parsed.kind === 'argon2' && parsed.isCurrent
  return (!isCurrent || checked !== preparePassword(checked)) && readsWhole(parsed, checked)
}

function parse(hash: string): PasswordHash {
  const parsed = parsePasswordHash(hash)
  // The database lets nothing in that the API has not checked.
  if (typeof parsed === 'string') throw new Error('a stored password hash cannot be read')
  return parsed
}

const scryptAsync = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt)
const pbkdf2Async = promisify(pbkdf2)

async function verify(hash: string, password: string): Promise<boolean> {
  const parsed = parse(hash)
  switch (parsed.kind) {
    case 'argon2': {
      const { verify } = await import('@node-rs/argon2')
      return verify(hash, password)
    }
    case 'bcrypt': {
      // In JavaScript: once for each user who came with such a hash. It gives way to others every tenth of a second.
      const { compare } = await import('bcryptjs')
      return compare(password, parsed.canonical)
    }
    case 'scrypt': {
      const { cost, blockSize, parallelization, salt, digest } = parsed
      // Node's own limit is below what the form allows.
      const options = { cost, blockSize, parallelization, maxmem: 256 * 1024 * 1024 }
      return timingSafeEqual(await scryptAsync(password, salt, digest.length, options), digest)
    }
    case 'pbkdf2': {
      const { algorithm, iterations, salt, digest } = parsed
      return timingSafeEqual(await pbkdf2Async(password, salt, iterations, digest.length, algorithm), digest)
    }
  }
}
