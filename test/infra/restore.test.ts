// The restore of a stage's database, with the real SDK over HTTP to a server that behaves like AWS.
import { describe, expect, it, vi } from 'vitest'
import { restoreDatabase } from '../../infra/scripts/restore-database.ts'
import { type Rds, startRds } from '../support/rds.ts'

const name = 'user-directory-prod'
const time = '2026-11-24T12:00:00.000Z'

async function started({ withProxy = true } = {}): Promise<Rds> {
  const rds = await startRds()
  reset(rds, withProxy)
  return rds
}

function reset(rds: Rds, withProxy = true): void {
  rds.instances.clear()
  rds.instances.set(name, {
    DBInstanceIdentifier: name,
    DbiResourceId: 'db-OLD',
    DBInstanceStatus: 'available',
    LatestRestorableTime: new Date('2026-11-25T00:00:00Z'),
    MultiAZ: true,
    DeletionProtection: true,
    BackupRetentionPeriod: 35,
    DBParameterGroups: [{ DBParameterGroupName: 'parameters' }],
    VpcSecurityGroups: [{ VpcSecurityGroupId: 'sg-1' }],
    EnabledCloudwatchLogsExports: ['postgresql', 'upgrade'],
    ...(withProxy && { MasterUserSecret: { SecretArn: 'arn:old-secret', SecretStatus: 'active' } }),
    TagList: [
      { Key: 'service', Value: name },
      { Key: 'aws:cloudformation:stack-name', Value: 'data' },
    ],
  })
  rds.proxy = withProxy
    ? {
        RoleArn: 'arn:aws:iam::123456789012:role/proxy-role',
        Auth: [{ SecretArn: 'arn:old-secret', IAMAuth: 'REQUIRED' }],
        targets: new Set([name]),
      }
    : undefined
  Object.assign(rds, { policies: new Map(), changes: [], changesLeft: Infinity })
}

/** @returns the output, an error included */
async function restore(rds: Rds, { to = time, dryRun = false } = {}): Promise<string> {
  for (const [variable, value] of Object.entries(rds.env)) vi.stubEnv(variable, value)
  const said: string[] = []
  try {
    const options = { stage: 'prod', to: new Date(to), dryRun, pollMs: 1 } as const
    await restoreDatabase({ ...options, print: (text) => said.push(text) })
  } catch (error) {
    said.push(`✗ ${(error as Error).message}`)
  } finally {
    vi.unstubAllEnvs()
  }
  return said.join('\n')
}

function expectRestored(rds: Rds): void {
  expect([...rds.instances.keys()].sort()).toEqual([name, `${name}-before-restore`])
  expect(rds.instances.get(name)).toMatchObject({
    DbiResourceId: 'db-NEW',
    MultiAZ: 'true',
    DeletionProtection: 'true',
    BackupRetentionPeriod: '35',
    DBParameterGroups: [{ DBParameterGroupName: 'parameters' }],
    VpcSecurityGroups: [{ VpcSecurityGroupId: 'sg-1' }],
    EnabledCloudwatchLogsExports: ['postgresql', 'upgrade'],
    TagList: [
      { Key: 'service', Value: name },
      { Key: 'restored-to', Value: time },
    ],
  })
  expect(rds.instances.get(`${name}-before-restore`)).toMatchObject({ DbiResourceId: 'db-OLD' })
  expect(rds.proxy).toMatchObject({
    Auth: [{ SecretArn: 'arn:new-secret', IAMAuth: 'REQUIRED' }],
    targets: new Set([name]),
  })
  const policy = rds.policies.get('proxy-role')
  expect(policy).toContain('arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-NEW/directory_service')
  expect(policy).toContain('arn:new-secret')
  expect(rds.changes.slice(-2)).toEqual([
    `Invoke ${name}-migrate:live {"isRestored":true}`,
    `Invoke ${name}-refresh:live `,
  ])
}

describe('the restore', () => {
  it('replaces the database by a copy of that time with the same settings', async () => {
    const rds = await started()
    expect(await restore(rds)).not.toContain('✗')
    expectRestored(rds)
  })

  it('changes nothing in a dry run, and prints each step', async () => {
    const rds = await started()
    const said = await restore(rds, { dryRun: true })
    expect(rds.changes).toEqual([])
    expect(said.split('\n')).toHaveLength(10)
    for (const line of said.split('\n')) expect(line).toMatch(/^would /)
    for (const part of [
      `to ${time}`,
      'from the proxy',
      `to ${name}-before-restore`,
      'secret',
      'cache',
      'revalidation',
    ])
      expect(said).toContain(part)
  })

  it('completes in a second run, wherever the first was interrupted', async () => {
    const rds = await started()
    await restore(rds)
    const changes = rds.changes.length
    expect(changes).toBeGreaterThan(9)
    for (let made = 0; made < changes; made++) {
      reset(rds)
      rds.changesLeft = made
      expect(await restore(rds), `after ${made}`).toContain('✗')
      rds.changesLeft = Infinity
      expect(await restore(rds), `after ${made}`).not.toContain('✗')
      expectRestored(rds)
    }
  })

  it('without a proxy allows the functions to log in to the new instance', async () => {
    const rds = await started({ withProxy: false })
    expect(await restore(rds)).not.toContain('proxy')
    const users = [...rds.policies].map(([role, policy]) => [role, /dbuser:db-NEW\/(\w+)/.exec(policy)?.[1]])
    expect(users).toEqual([
      [`${name}-api`, 'directory_service'],
      [`${name}-sign-in`, 'directory_service'],
      [`${name}-deliver`, 'directory_service'],
      [`${name}-run-jobs`, 'directory_service'],
      [`${name}-refresh`, 'directory_service'],
      [`${name}-migrate`, 'directory_owner'],
    ])
  })

  it('does not start for a time without a backup, or over an unfinished restore to another time', async () => {
    const rds = await started()
    expect(await restore(rds, { to: '2026-11-25T00:00:01Z' })).toContain(
      '✗ --to must not be later than 2026-11-25T00:00:00.000Z',
    )
    await restore(rds)
    const { length } = rds.changes
    expect(await restore(rds, { to: '2026-11-24T13:00:00Z' })).toContain(
      `✗ ${name}-before-restore is left over from a restore to ${time}.`,
    )
    expect(rds.changes).toHaveLength(length)
    rds.instances.clear()
    expect(await restore(rds)).toContain(`✗ The database ${name} does not exist`)
  })
})
