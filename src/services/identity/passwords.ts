// Hashes passwords with Argon2id, and checks them against our hashes and those that other systems made.
import { createCipheriv, pbkdf2, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { overloaded } from '../../model/errors.ts'
import { preparePassword } from '../../model/password.ts'
import {
  argon2Parameters,
  comparesWhole,
  type PasswordHash,
  parsePasswordHash,
} from '../../model/password-hash.ts'
import { fairQueue } from '../../platform/queue.ts'
import { processes } from '../../platform/worker-place.ts'

// A hash occupies a core for some ten milliseconds, so one core stays free for other requests.
// Hashes run on Node's four pool threads, where one must stay free for files and DNS look-ups.
export const hashedAtOnce = Math.min(3, Math.max(1, Math.floor((availableParallelism() - 1) / processes)))
const hashes = fairQueue(hashedAtOnce, { waiting: Number.POSITIVE_INFINITY })

// Callers take turns in each of these two queues, and the two take turns in `hashes`, which each feeds only as much as
// can run. A flood of sign-ins or an import so delays the other by a few hashes.
const creations = fairQueue(hashedAtOnce, { waiting: 5_000, waitMsMax: 5_000 })
// Shorter, because a sign-in must be answered within seconds even if the hashes before it are expensive.
const checks = fairQueue(hashedAtOnce, { waiting: 100 * hashedAtOnce, waitMsMax: 3_000 })

/** A check's place in the queue. */
type Turn = {
  /** The share of the queue that it uses: a source, a name or a user. */
  share: string
  /** The latest useful start, on the clock of `performance.now()`. */
  startUntil: number
}

/** A hash that no password matches. It is checked for unknown users, so that they take as long as known ones. */
export const unknownUserHash =
  '$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3MgMTYgYnl0ZQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'

/**
 * @param share the key of the caller
 * @param password as `preparePassword` gives it
 * @returns `$argon2id$v=19$m=19456,t=2,p=1$…`
 * @throws ServiceError `overloaded` when too many are waiting
 */
export function hashPassword(share: string, password: string): Promise<string> {
  return creations(share, () => hashes('creation', () => makeHash(password)))
}

/**
 * Compares the prepared password (RFC 8265) and, if it differs, the password as typed, which other systems hash.
 * The number of checks depends on the password alone, so their time reveals nothing about the user.
 * @param hash as it is stored; null for an unknown user and for one without a password
 * @returns the form that matches the hash; undefined if none does
 * @throws ServiceError `overloaded` when too many are waiting, or it could not start in time
 */
export async function verifyPassword(
  hash: string | null,
  password: string,
  turn: Turn,
): Promise<string | undefined> {
  let matched: string | undefined
  for (const form of new Set([preparePassword(password), password]))
    if (await check(turn, () => verify(hash ?? unknownUserHash, form))) matched ??= form
  return matched
}

/**
 * Prepares and hashes a password that has just been checked.
 * @throws ServiceError as `verifyPassword`
 */
export function hashForRenewal(password: string, turn: Turn): Promise<string> {
  return check(turn, () => makeHash(preparePassword(password)))
}

function check<T>({ share, startUntil }: Turn, work: () => Promise<T>): Promise<T> {
  return checks(share, () => hashes('check', () => startBy(startUntil, work)))
}

async function startBy<T>(startUntil: number, work: () => Promise<T>): Promise<T> {
  if (performance.now() <= startUntil) return work()
  throw overloaded()
}

async function makeHash(password: string): Promise<string> {
  // Loaded on first use, because reads never need it.
  const { hash } = await import('@node-rs/argon2')
  // The library's default algorithm is Argon2id.
  return hash(password, argon2Parameters)
}

/**
 * @param matched the form of the password that matches the hash
 * @returns whether the hash is outdated: by its algorithm, its parameters, or the form of its password. Never if the
 *   algorithm ignores a part of the password, because that part may be wrong
 */
export function shouldRenew(hash: string, matched: string): boolean {
  const parsed = parse(hash)
  const isCurrent = parsed.kind === 'argon2' && parsed.isCurrent
  return (!isCurrent || matched !== preparePassword(matched)) && comparesWhole(parsed, matched)
}

function parse(hash: string): PasswordHash {
  const parsed = parsePasswordHash(hash)
  // The API accepts only hashes that it can read.
  if (typeof parsed === 'string') throw new Error('a stored password hash cannot be read')
  return parsed
}

// Node's default memory limit is lower than the accepted parameters need.
const maxmem = 256 * 1024 * 1024
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
      // In JavaScript, but only once per user, before the hash is renewed. It yields every tenth of a second.
      const { compare } = await import('bcryptjs')
      return compare(password, parsed.canonical)
    }
    case 'scrypt': {
      const { cost, blockSize, parallelization, salt, digest } = parsed
      const options = { cost, blockSize, parallelization, maxmem }
      return timingSafeEqual(await scryptAsync(password, salt, digest.length, options), digest)
    }
    case 'firebase-scrypt': {
      // https://github.com/firebase/scrypt: AES-256 in counter mode, from zero, encrypts the signer key.
      const { cost, blockSize, salt, signerKey, digest } = parsed
      const key = await scryptAsync(password, salt, 32, { cost, blockSize, parallelization: 1, maxmem })
      const encrypted = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(signerKey)
      return timingSafeEqual(encrypted, digest)
    }
    case 'pbkdf2': {
      const { algorithm, iterations, salt, digest } = parsed
      return timingSafeEqual(await pbkdf2Async(password, salt, iterations, digest.length, algorithm), digest)
    }
  }
}
