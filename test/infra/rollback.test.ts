// The rollback, with the real SDK over HTTP to a server that behaves like AWS.
import { spawn } from 'node:child_process'
import { describe, expect, it, vi } from 'vitest'
import { openAliases } from '../../infra/scripts/aliases.ts'
import { explain } from '../../infra/scripts/stage.ts'
import { type Aws, startAws } from '../support/aws.ts'

const api = 'user-directory-prod-api'

/** Runs in this process, because the command only parses options around it. */
async function rollback(aws: Aws, ...to: string[]): Promise<string> {
  return run(aws, { ...(to.length > 0 && { to }) })
}

async function run(aws: Aws, options: { to?: string[]; dryRun?: boolean }): Promise<string> {
  for (const [name, value] of Object.entries(aws.env)) vi.stubEnv(name, value)
  const said: string[] = []
  const aliases = openAliases('prod', (text) => said.push(text))
  try {
    await aliases.rollBack(options)
  } catch (error) {
    said.push(`✗ ${explain(error).message}`)
  } finally {
    aliases.close()
    vi.unstubAllEnvs()
  }
  return said.join('\n')
}

const wasMoved = (aws: Aws) => aws.calls.some((call) => call.startsWith('PUT'))

describe('the rollback', () => {
  it('points the alias at the previous version, and prints the step', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 13)
    expect(await rollback(aws)).toBe(
      `${api}: moving live from version 13 to version 12.\n${api}: live is at version 12.`,
    )
    expect(live).toMatchObject({ version: '12', weights: {} })
  })

  it('skips deleted versions, and reads all pages', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 120)
    const found = aws.functions.get(api)
    if (found) found.versions = found.versions.filter((version) => version !== 119 && version !== 118)
    await rollback(aws)
    expect(live.version).toBe('117')
    expect(aws.calls.filter((call) => call.includes('/versions'))).toHaveLength(3)
  })

  it('stops a deployment in progress, and goes back only to its old version', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 12)
    const id = aws.shift(api)
    const said = await rollback(aws)
    expect(said).toContain(`${id}: stopping the deployment.`)
    expect(said).toContain(`${api}: live is at version 12.`)
    expect(live).toMatchObject({ version: '12', weights: {} })
    expect(aws.deployments.get(id)?.status).toBe('Stopped')
    expect(wasMoved(aws)).toBe(false)
  })

  it('goes back only to the old version, even if no traffic had shifted yet', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 12)
    aws.shift(api)
    live.weights = {}
    expect(await rollback(aws)).toContain(
      `${api}: live is at version 12. To move it further back, run this again.`,
    )
    expect(live.version).toBe('12')
  })

  it('moves the alias itself if CodeDeploy stopped without a rollback', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 12)
    const id = aws.shift(api)
    aws.leavesShifted = true
    expect(await rollback(aws)).toContain(`${api}: moving live from version 12 and 10 % at 13 to version 12.`)
    expect(live).toMatchObject({ version: '12', weights: {} })
    expect(aws.deployments.get(id)?.status).toBe('Stopped')
  })

  it('rolls back a deployment that completes in the meantime', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 12)
    const id = aws.shift(api)
    aws.before = (call) => {
      const deployment = aws.deployments.get(id)
      if (call !== 'StopDeployment' || !deployment) return undefined
      deployment.status = 'Succeeded'
      Object.assign(live, { version: '13', weights: {}, revision: 'done' })
      return undefined
    }
    expect(await rollback(aws)).toContain(`${api}: moving live from version 13 to version 12.`)
    expect(live.version).toBe('12')
  })

  it('removes the weights of an abandoned deployment', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 12)
    aws.deployments.delete(aws.shift(api))
    expect(await rollback(aws)).toContain('moving live from version 12 and 10 % at 13 to version 12.')
    expect(live).toMatchObject({ version: '12', weights: {} })
  })

  it('moves to the requested version, also forward', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 13)
    await rollback(aws, '9')
    expect(live.version).toBe('9')
    await rollback(aws, 'api:13')
    expect(live.version).toBe('13')
    expect(await rollback(aws, '13')).toBe(`${api}: live is at version 13.`)
  })

  it('rolls several functions back to the versions before a deployment', async () => {
    const aws = await startAws()
    const [live, signIn] = [aws.addFunction(api, 13), aws.addFunction('user-directory-prod-sign-in', 8)]
    await rollback(aws, 'api:12', 'sign-in:8')
    expect([live.version, signIn.version]).toEqual(['12', '8'])
  })

  it('changes nothing in a dry run, and prints each step', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 12)
    const id = aws.shift(api)
    expect(await run(aws, { dryRun: true })).toBe(
      `${id}: would stop the deployment.\n${api}: would move live from version 12 and 10 % at 13 to version 12.`,
    )
    expect(live.weights).toEqual({ 13: 0.1 })
    expect(aws.calls).not.toContain('StopDeployment')
    expect(wasMoved(aws)).toBe(false)
  })

  it('fails without a previous version', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 1)
    expect(await rollback(aws)).toBe(
      `✗ ${api} has no version before 1. Nothing was changed. Choose a published version: 1.`,
    )
    expect(live.version).toBe('1')
  })

  it('rejects missing and malformed versions, and functions that cannot be rolled back', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 3)
    expect(await rollback(aws, '7')).toBe(
      `✗ ${api} has no version 7. Nothing was changed. Choose a published version: 1, 2, 3.`,
    )
    for (const to of ['$LATEST', 'migrate:2', '', '0', 'api:'])
      expect(await rollback(aws, to)).toContain(
        `✗ --to must be a published version such as 12 or api:12, but is: ${to}\n`,
      )
    expect(live.version).toBe('3')
  })

  it('changes nothing if the alias was changed in the meantime', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 13)
    aws.before = (call) => {
      if (call.startsWith('PUT')) live.revision = 'another'
      return undefined
    }
    expect(await rollback(aws)).toContain('live was changed by someone else in the meantime')
    expect(live.version).toBe('13')
  })

  it('retries when AWS throttles, and reports a missing permission', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 13)
    let faults = 1
    aws.before = () =>
      faults-- > 0 ? { status: 429, type: 'TooManyRequestsException', message: 'Rate exceeded' } : undefined
    await rollback(aws)
    expect(live.version).toBe('12')
    aws.before = () => ({ status: 403, type: 'AccessDeniedException', message: 'lambda:GetAlias on live' })
    expect(await rollback(aws)).toBe('✗ These credentials lack a permission.\n  lambda:GetAlias on live')
  })
})

describe('npm run rollback', () => {
  const command = async (
    aws: Aws,
    ...options: string[]
  ): Promise<{ code: number | null; output: string }> => {
    const child = spawn(process.execPath, ['infra/scripts/rollback.ts', ...options], {
      env: { PATH: process.env.PATH ?? '', ...aws.env },
    })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk))
    const code = await new Promise<number | null>((done) => child.once('close', done))
    return { code, output }
  }

  it('reads its options, and exits with 1 if it changed nothing', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 13)
    aws.addFunction('user-directory-prod-deliver', 2)
    const [done, absent, unknown] = await Promise.all([
      command(aws, '--stage', 'prod', '--to', 'api:9,deliver:2'),
      command(aws),
      command(aws, '--stage', 'staging'),
    ])
    expect(done).toEqual({
      code: 0,
      output: `${api}: moving live from version 13 to version 9.\n${api}: live is at version 9.\nuser-directory-prod-deliver: live is at version 2.\n`,
    })
    expect(live.version).toBe('9')
    expect(absent.output).toMatch(
      /^The resource does not exist in this account and region. Is the stage deployed here\?\n {2}.*user-directory-dev-api/,
    )
    expect(absent.code).toBe(1)
    expect(unknown).toEqual({ code: 1, output: '--stage must be one of: dev, small, prod. Got: staging\n' })
  })
})
