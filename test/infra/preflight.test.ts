// The checks before a deployment, with the real SDK over HTTP.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { assertDeployable } from '../../infra/scripts/preflight.ts'
import { type Aws, startAws } from '../support/aws.ts'
import { atEnd } from '../support/cleanup.ts'

let assembly = ''
beforeAll(async () => {
  assembly = await mkdtemp(join(tmpdir(), 'user-directory-assembly-'))
  atEnd(() => rm(assembly, { recursive: true, force: true }))
  const resources = (reserved: Record<string, number | undefined>) =>
    Object.fromEntries(
      Object.entries(reserved).map(([name, count]) => [
        name,
        {
          Type: 'AWS::Lambda::Function',
          Properties: { FunctionName: name, ReservedConcurrentExecutions: count },
        },
      ]),
    )
  for (const [stage, reserved] of Object.entries({
    dev: { 'user-directory-dev-api': undefined },
    prod: { 'user-directory-prod-api': 200, 'user-directory-prod-sign-in': 50 },
  }))
    await writeFile(
      join(assembly, `user-directory-${stage}-service.template.json`),
      JSON.stringify({ Resources: resources(reserved) }),
    )
})

/** @returns the problem that prevents a deployment */
async function preflight(aws: Aws, stage: 'dev' | 'prod'): Promise<string | undefined> {
  for (const [name, value] of Object.entries(aws.env)) vi.stubEnv(name, value)
  try {
    await assertDeployable(stage, assembly)
    return undefined
  } catch (error) {
    return (error as Error).message
  } finally {
    vi.unstubAllEnvs()
  }
}

describe('before a deployment', () => {
  it.each([
    ['a new account', 10, {}, 350],
    ['an account with a small quota', 200, {}, 350],
    ['an account whose other functions reserve most', 1_000, { another: 700 }, 1_050],
  ])('%s: names the quota that the reserved concurrency needs', async (_, quota, reserved, needed) => {
    const aws = await startAws()
    aws.concurrency = { quota, reserved: new Map(Object.entries(reserved)) }
    expect(await preflight(aws, 'prod')).toMatch(
      new RegExp(`allows ${quota} concurrent[^]*reserves 250[^]*L-B99A9384 --desired-value ${needed}\\b`),
    )
    // A stage that reserves nothing needs no quota.
    expect(await preflight(aws, 'dev')).toBeUndefined()
  })

  it('counts the existing reservations of the stage', async () => {
    const aws = await startAws()
    aws.concurrency.quota = 350
    expect(await preflight(aws, 'prod')).toBeUndefined()
    aws.concurrency.reserved = new Map([
      ['user-directory-prod-api', 200],
      ['user-directory-prod-sign-in', 50],
    ])
    expect(await preflight(aws, 'prod')).toBeUndefined()
    aws.concurrency.reserved.set('another', 1)
    expect(await preflight(aws, 'prod')).toContain('--desired-value 351')
  })

  it('allows repeating a failed first deployment, or names the commands to clean it up', async () => {
    const aws = await startAws()
    const name = 'user-directory-prod-data'
    aws.stacks.set(name, {})
    for (const [status, isProtected, commands] of [
      ['ROLLBACK_COMPLETE', false, undefined],
      ['UPDATE_ROLLBACK_COMPLETE', true, undefined],
      ['ROLLBACK_COMPLETE', true, ['update-termination-protection', 'delete-stack']],
      ['ROLLBACK_FAILED', false, ['modify-db-instance', 'update-user-pool', 'delete-stack']],
    ] as const) {
      aws.stackStates.set(name, { status, isProtected })
      const found = await preflight(aws, 'prod')
      if (commands === undefined) expect(found, status).toBeUndefined()
      else for (const command of commands) expect(found, status).toContain(` ${command} `)
    }
  })
})
