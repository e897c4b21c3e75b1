import type { User } from './directory.ts'

/** @returns the loaded user, unless the known one has the same or a later version */
export function newerVersion(known: User | undefined, loaded: User): User {
  return known && known.version >= loaded.version ? known : loaded
}
