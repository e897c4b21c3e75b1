// Maps cache keys to keys in Redis. Each era has its own prefix, so that entries of different servers never mix.
import { usernameOfKey } from './cache.ts'

// Incremented when the format of entries changes, so that two versions of the service can run side by side.
const servicePrefix = 'user-directory:2'
const userPrefix = 'user:'

export type RedisKeys = {
  redisKey(key: string, era: string): string
  cacheKey(redisKey: string, era: string): string
}

export function eraPrefix(era: string): string {
  return `${servicePrefix}:${era}:`
}

function typedKey(key: string): string {
  return usernameOfKey(key) === undefined ? userPrefix + key : key
}

function untypedKey(typed: string): string {
  return typed.startsWith(userPrefix) ? typed.slice(userPrefix.length) : typed
}

export const singleServerKeys: RedisKeys = {
  redisKey: (key, era) => eraPrefix(era) + typedKey(key),
  cacheKey: (redisKey, era) => untypedKey(redisKey.slice(eraPrefix(era).length)),
}

/** A hash tag makes the slot independent of the era. */
export const clusterKeys: RedisKeys = {
  redisKey: (key, era) => `${eraPrefix(era)}{${typedKey(key)}}`,
  cacheKey: (redisKey, era) => untypedKey(redisKey.slice(eraPrefix(era).length + 1, -1)),
}
