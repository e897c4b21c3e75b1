// Maps cache keys to keys in Redis. Each era has its own prefix, so that entries of different servers never mix.
import { usernameOfKey } from './cache.ts'

// Incremented when the format of entries changes, so that two versions of the service can run side by side.
const servicePrefix = 'user-directory:2'
const userPrefix = 'user:'

export function eraPrefix(era: string): string {
  return `${servicePrefix}:${era}:`
}

export function redisKey(key: string, era: string): string {
  return `${eraPrefix(era)}${usernameOfKey(key) === undefined ? userPrefix : ''}${key}`
}

export function cacheKey(redisKey: string, era: string): string {
  const key = redisKey.slice(eraPrefix(era).length)
  return key.startsWith(userPrefix) ? key.slice(userPrefix.length) : key
}
