// Baselines in a separate process: a bare Node server with the drivers and the service's Redis client only.
// Each row of the benchmark is compared with the baseline that does the same work in the simplest way.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hash } from '@node-rs/argon2'
import pg from 'pg'
import { openRedis } from '../src/connection/redis/client.ts'

const redis = openRedis(process.env.REDIS_URL ?? '')
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL ?? '', max: 10 })

const floors: Record<string, (id: string) => Promise<Buffer | string>> = {
  // One GET from Redis.
  cached: async (id) => (await redis.send('GET', `bench:${id}`)) as Buffer,
  // One prepared point select.
  select: async (id) => {
    const query = { name: 'floor', text: 'SELECT * FROM users WHERE id = $1', values: [id] }
    return JSON.stringify((await pool.query(query)).rows[0])
  },
  // Twenty rows from an index scan.
  list: async (id) => {
    const text =
      'SELECT * FROM users WHERE (created_at, id) > ((SELECT created_at FROM users WHERE id = $1), $1) ORDER BY created_at, id LIMIT 20'
    return JSON.stringify((await pool.query({ name: 'list', text, values: [id] })).rows)
  },
  // The index lookup of a search, without sorting or whole rows.
  search: async (word) => {
    const { rows } = await pool.query('SELECT id FROM users WHERE search_text LIKE $1 LIMIT 20', [
      `%${decodeURIComponent(word)}%`,
    ])
    return JSON.stringify(rows)
  },
  // The hash of a new password.
  hash: (id) => hash(id, { memoryCost: 19_456, timeCost: 2, parallelism: 1 }),
}

const server = createServer((request, response) => {
  const [, floor = '', value = ''] = (request.url ?? '').split('/')
  floors[floor]?.(value).then(
    (body) => {
      response.setHeader('Content-Type', 'application/json')
      response.setHeader('Content-Length', Buffer.byteLength(body))
      response.end(body)
    },
    () => {
      response.statusCode = 500
      response.end()
    },
  )
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
