// Lambda freezes a function's process after its answer and thaws it for the next event. Connections may be cut meanwhile.
// The deployed package is frozen by a signal.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { GatewayReply } from '../../../src/handler/lambda/gateway-event.ts'
import { atEnd } from '../../support/cleanup.ts'
import { freshDatabase } from '../../support/database.ts'
import { packagedFunctions } from '../../support/functions.ts'
import { clientId } from '../../support/issuer.ts'
import { restEvent, startFunction } from '../../support/lambda.ts'
import { startProxy } from '../../support/proxy.ts'
import { realServices, uniqueName } from '../../support/service.ts'

// Longer than a statement's time limit, longer than the trust in the cache, and shorter than both.
const gapsMs = [100, 2_000, 400]
const calls = 9

const claims = {
  iss: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI',
  sub: '7b1d',
  token_use: 'access',
  client_id: clientId,
  username: 'root',
  'cognito:groups': ['admins'],
}

type Way = Awaited<ReturnType<typeof startProxy>>

const harms: Record<string, (way: Way) => Promise<void>> = {
  'its connections stay': async () => {},
  'its connections are cut meanwhile': (way) => way.refuse().then(way.pass),
  'a firewall forgets its connections meanwhile': async (way) => way.forget(),
}

// They run concurrently, because they mostly wait.
it('a function frozen after each answer never answers 5xx, whatever happened to its connections', async () => {
  const { folder } = await packagedFunctions()
  const answers = await Promise.all(
    Object.entries(harms).map(async ([how, harm]) => ({ how, ...(await callAndFreeze(folder, harm)) })),
  )
  for (const { how, statuses } of answers)
    expect(
      statuses.filter((status) => status >= 300),
      how,
    ).toEqual([])
  expect(answers[0]?.caches).toContain('hit')
})

async function callAndFreeze(folder: string, harm: (way: Way) => Promise<void>) {
  const settings = realServices()
  const database = new URL(await freshDatabase())
  const cache = new URL(settings.REDIS_URL ?? '')
  const ways = await Promise.all(
    [database, cache].map((url) => startProxy({ host: url.hostname, port: Number(url.port) })),
  )
  for (const way of ways) atEnd(way.close)
  const [databasePort, cachePort] = ways.map(({ port }) => String(port))
  const {
    invoke,
    process: child,
    close,
  } = await startFunction(
    join(folder, 'api.js'),
    {
      ...settings,
      NODE_ENV: 'production',
      DATABASE_URL: Object.assign(new URL(database), { port: databasePort }).href,
      REDIS_URL: Object.assign(new URL(cache), { port: cachePort }).href,
      COGNITO_USER_POOL_ID: 'eu-west-1_AbCdEfGhI',
      COGNITO_CLIENT_ID: clientId,
    },
    () => {},
  )
  atEnd(close)
  const send = async (method: string, path: string, json?: object) => {
    const body = json && { body: JSON.stringify(json), headers: { 'content-type': 'application/json' } }
    const request = new Request(`https://gateway${path}`, { method, ...body })
    const event = await restEvent(request, claims)
    const answering = invoke(event) as Promise<GatewayReply>
    child()?.kill('SIGCONT')
    const answer = await answering
    // Like Lambda, shortly after the answer.
    await pause(1)
    child()?.kill('SIGSTOP')
    return answer
  }

  const made = await send('POST', '/user', { username: uniqueName(), password: 'a-good-password' })
  const { id } = JSON.parse(made.body)
  const statuses: number[] = [made.statusCode]
  const caches = new Set<string | undefined>()
  let version = 1
  for (let call = 0; call < calls; call++) {
    const gapMs = gapsMs[call % gapsMs.length] ?? 0
    await pause(gapMs)
    // Connections used shortly before are not cut.
    if (gapMs > 1_000) for (const way of ways) await harm(way)
    const answer =
      call % 4 === 3
        ? await send('PATCH', `/user/${id}`, { name: String(++version) })
        : await send('GET', call % 4 === 1 ? '/user?limit=2' : `/user/${id}`)
    statuses.push(answer.statusCode)
    if (call % 4 === 0 || call % 4 === 2) {
      caches.add(answer.headers['x-cache'])
      expect(JSON.parse(answer.body).version).toBe(version)
    }
  }
  return { statuses, caches }
}
