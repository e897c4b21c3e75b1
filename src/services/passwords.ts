// Passwords are kept as Argon2id hashes in PHC form, and nowhere else.
import { availableParallelism } from 'node:os'
import { boundedQueue } from '../connection/limits.ts'

// OWASP's floor (Password Storage Cheat Sheet): 19 MiB, two passes, one lane.
const parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

// A hash takes a core for some ten milliseconds; one core is left to whoever is not hashing.
const limit = boundedQueue(Math.max(1, availableParallelism() - 1), 5_000)

/**
 * @returns `$argon2id$v=19$m=19456,t=2,p=1$…`
 * @throws ServiceError `overloaded` when too many are waiting
 */
export function hashPassword(password: string): Promise<string> {
  return limit(async () => {
    // Loaded on first use: reads never need it.
    const { hash } = await import('@node-rs/argon2')
    // The library's default algorithm is Argon2id.
    return hash(password, parameters)
  })
}
