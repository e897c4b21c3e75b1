// The user pool behind its function: the real entry, invoked through Lambda's API.
import { AdminCreateUserCommand, AdminGetUserCommand } from '@aws-sdk/client-cognito-identity-provider'
import { expect, it, onTestFinished } from 'vitest'
import { openUserPoolFunction } from '../../../src/connection/cognito/user-pool-function.ts'
import { handler } from '../../../src/handler/lambda/user-pool.ts'
import { startCognito } from '../../support/cognito.ts'
import { uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const cognito = await startCognito()
Object.assign(cognito.functions, {
  PreTokenGeneration: async (event: unknown) => event,
  userPool: handler,
  broken: async () => {
    throw new Error('out of memory')
  },
})
Object.assign(process.env, cognito.env, {
  AWS_REGION: 'eu-west-1',
  AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${cognito.port}`,
})
const pool = openUserPoolFunction('userPool')
const soon = () => AbortSignal.timeout(10_000)

async function inPool(): Promise<string> {
  const username = uniqueName()
  const command = { UserPoolId: cognito.poolId, Username: username, MessageAction: 'SUPPRESS' as const }
  await cognito.admin.send(new AdminCreateUserCommand(command))
  return username
}

it('sets passwords, enables and disables users', async () => {
  const username = await inPool()
  await pool.setPassword(username, 'a-good-password', soon())
  await cognito.signIn(username, 'a-good-password')
  const isEnabled = async () =>
    (await cognito.admin.send(new AdminGetUserCommand({ UserPoolId: cognito.poolId, Username: username })))
      .Enabled
  await pool.disable(username, soon())
  expect(await isEnabled()).toBe(false)
  await pool.enable(username, soon())
  expect(await isEnabled()).toBe(true)
  await pool.remove(username, soon())
  await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()
})

it('adds users to groups, and skips groups that do not exist', async () => {
  const username = await inPool()
  expect(await pool.groupsOf(username, soon())).toEqual([])
  expect(await pool.addToGroups(username, ['readers', 'gone'], soon())).toBe(true)
  expect(await pool.groupsOf(username, soon())).toEqual(['readers'])
})

it('ignores users who are not in the pool', async () => {
  const username = uniqueName()
  await pool.setPassword(username, 'a-good-password', soon())
  await pool.remove(username, soon())
  expect(await pool.groupsOf(username, soon())).toEqual([])
  expect(await pool.addToGroups(username, ['readers'], soon())).toBe(false)
})

it('executes no call that its caller has given up', async () => {
  const call = {
    verb: 'setPassword',
    username: await inPool(),
    password: 'a-good-password',
    until: Date.now() - 1,
  }
  expect(await handler(call)).toEqual({
    error: { name: 'Error', message: 'the caller’s deadline has passed' },
  })
})

it('throws the errors of the pool', async () => {
  const username = await inPool()
  cognito.onCall = () => {
    throw new Error('not now')
  }
  await expect(pool.disable(username, soon())).rejects.toMatchObject({
    name: 'InvalidParameterException',
    message: 'not now',
  })
  cognito.onCall = () => {}
})

it('throws if the function fails or takes too long', async () => {
  const name = uniqueName()
  await expect(openUserPoolFunction('broken').enable(name, soon())).rejects.toThrow(
    /function failed: Unhandled/,
  )
  await expect(pool.enable(name, AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late')
})

it('rejects invalid calls without repeating their content', async () => {
  const until = Date.now() + 10_000
  for (const event of [
    undefined,
    {},
    { verb: 'close', username: 'ada', until },
    { verb: 'setPassword', username: 'ada', until },
    { verb: 'remove', username: '', until },
    { verb: 'remove', username: 'ada' },
    { verb: 'remove', username: 'ada', until, userPoolId: 'eu-west-1_Another' },
    { verb: 'constructor', username: 'ada', password: 'secret-password', until },
  ]) {
    const refusal = handler(event)
    await expect(refusal).rejects.toThrow('not a call of the user pool')
    await expect(refusal).rejects.not.toThrow(/secret/)
  }
})

it('aborts a call in flight when its caller gives up', async () => {
  const username = await inPool()
  const deadline = Date.now() + 300
  cognito.onCall = (call) =>
    call.startsWith('AdminDisableUser') && until('its time to be over', () => Date.now() > deadline + 700)
  onTestFinished(() => {
    cognito.onCall = () => {}
  })
  const given = await handler({ verb: 'disable', username, until: deadline })
  expect(given).toMatchObject({ error: { name: 'TimeoutError' } })
})
