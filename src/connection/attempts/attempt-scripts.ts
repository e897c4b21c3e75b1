// The attempt throttle's scripts for Redis, each with one key.
import { script } from '../redis/client.ts'

// Uses Redis's clock, because those of the processes may differ.
export const reserveScript = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bucket = redis.call('HMGET', KEYS[1], 'attempts', 'next_at')
local attempts = tonumber(bucket[1] or 0)
local start = math.max(now, tonumber(bucket[2] or 0))
local wait = start - now
if wait > tonumber(ARGV[4]) then return -1 end
local pause = 0
if attempts >= tonumber(ARGV[1]) then
  pause = math.min(ARGV[3], ARGV[2] * 2 ^ (attempts - ARGV[1]))
end
redis.call('HSET', KEYS[1], 'attempts', attempts + 1, 'next_at', string.format('%.0f', start + pause))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return wait`)

export const succeededScript = script(`
if tonumber(redis.call('HGET', KEYS[1], 'attempts') or 0) > 0 then redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
return 0`)
