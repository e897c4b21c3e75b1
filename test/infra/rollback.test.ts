// The rollback as a command: the real SDK over the wire, to what speaks as AWS does.
import { spawn } from 'node:child_process'
import { describe, expect, it, vi } from 'vitest'
import { openAliases } from '../../infra/scripts/aliases.ts'
import { explain } from '../../infra/scripts/stage.ts'
import { type Aws, startAws } from '../support/aws.ts'

const api = 'user-directory-prod-api'

/** In this process: the command itself is a line around it. */
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
  it('points the alias at the version before, and says so', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 13)
    expect(await rollback(aws)).toBe(
      `${api}: live goes from version 13 to version 12.\n${api}: live is at version 12.`,
    )
    expect(live).toMatchObject({ version: '12', weights: {} })
  })

  it('goes over versions that were removed, and finds them on later pages', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 120)
    const found = aws.functions.get(api)
    if (found) found.versions = found.versions.filter((version) => version !== 119 && version !== 118)
    await rollback(aws)
    expect(live.version).toBe('117')
    expect(aws.calls.filter((call) => call.includes('/versions'))).toHaveLength(3)
  })

  it('stops a shift that is under way, and goes no further back than that', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 12)
    const id = aws.shift(api)
    const said = await rollback(aws)
    expect(said).toContain(`${id}: the shift is being stopped.`)
    expect(said).toContain(`${api}: live is at version 12.`)
    expect(live).toMatchObject({ version: '12', weights: {} })
    expect(aws.deployments.get(id)?.status).toBe('Stopped')
    expect(wasMoved(aws)).toBe(false)
  })

  it('goes no further back either when the shift had not begun to move traffic', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 12)
    aws.shift(api)
    live.weights = {}
    expect(await rollback(aws)).toContain(
      `${api}: live is at version 12. If it should not be, run this again.`,
    )
    expect(live.version).toBe('12')
  })

  it('puts the alias back itself where CodeDeploy has stopped and left it', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 12)
    const id = aws.shift(api)
    aws.leavesShifted = true
    expect(await rollback(aws)).toContain(`${api}: live goes from version 12 and 10 % at 13 to version 12.`)
    expect(live).toMatchObject({ version: '12', weights: {} })
    expect(aws.deployments.get(id)?.status).toBe('Stopped')
  })

  it('takes back also a shift that comes to its end at the same moment', async () => {
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
    expect(await rollback(aws)).toContain(`${api}: live goes from version 13 to version 12.`)
    expect(live.version).toBe('12')
  })

  it('ends a shift that nobody carries on', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 12)
    aws.deployments.delete(aws.shift(api))
    expect(await rollback(aws)).toContain('live goes from version 12 and 10 % at 13 to version 12.')
    expect(live).toMatchObject({ version: '12', weights: {} })
  })

  it('goes to the version that is asked for, also forward', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 13)
    await rollback(aws, '9')
    expect(live.version).toBe('9')
    await rollback(aws, 'api:13')
    expect(live.version).toBe('13')
    expect(await rollback(aws, '13')).toBe(`${api}: live is at version 13.`)
  })

  it('puts several functions back to where a deployment has found them', async () => {
    const aws = await startAws()
    const [live, signIn] = [aws.addFunction(api, 13), aws.addFunction('user-directory-prod-sign-in', 8)]
    await rollback(aws, 'api:12', 'sign-in:8')
    expect([live.version, signIn.version]).toEqual(['12', '8'])
  })

  it('only says what it would do when that is asked for', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 12)
    const id = aws.shift(api)
    expect(await run(aws, { dryRun: true })).toBe(
      `${id}: the shift would be stopped.\n${api}: live would go from version 12 and 10 % at 13 to version 12.`,
    )
    expect(live.weights).toEqual({ 13: 0.1 })
    expect(aws.calls).not.toContain('StopDeployment')
    expect(wasMoved(aws)).toBe(false)
  })

  it('refuses when there is nothing to go back to', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 1)
    expect(await rollback(aws)).toBe(`✗ ${api} has no version before 1: nothing was changed. Published: 1.`)
    expect(live.version).toBe('1')
  })

  it('refuses a version that is not there, or is none, and what is no function that serves', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 3)
    expect(await rollback(aws, '7')).toBe(
      `✗ ${api} has no version 7: nothing was changed. Published: 1, 2, 3.`,
    )
    for (const to of ['$LATEST', 'migrate:2', '', '0', 'api:'])
      expect(await rollback(aws, to)).toContain(
        `✗ --to must be a published version, such as 12 or api:12, and is: ${to}\n`,
      )
    expect(live.version).toBe('3')
  })

  it('changes nothing when somebody else moves the alias at the same moment', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 13)
    aws.before = (call) => {
      if (call.startsWith('PUT')) live.revision = 'another'
      return undefined
    }
    expect(await rollback(aws)).toContain('somebody else has moved live at this moment')
    expect(live.version).toBe('13')
  })

  it('tries again when AWS is busy, and says what is wrong when it may not', async () => {
    const aws = await startAws()
    const live = aws.addFunction(api, 13)
    let faults = 1
    aws.before = () =>
      faults-- > 0 ? { status: 429, type: 'TooManyRequestsException', message: 'Rate exceeded' } : undefined
    await rollback(aws)
    expect(live.version).toBe('12')
    aws.before = () => ({ status: 403, type: 'AccessDeniedException', message: 'lambda:GetAlias on live' })
    expect(await rollback(aws)).toBe('✗ These credentials may not do that.\n  lambda:GetAlias on live')
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

  it('takes its options, and fails when it has not put anything back', async () => {
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
      output: `${api}: live goes from version 13 to version 9.\n${api}: live is at version 9.\nuser-directory-prod-deliver: live is at version 2.\n`,
    })
    expect(live.version).toBe('9')
    expect(absent.output).toMatch(
      /^There is no such thing in this account and region: is the stage deployed here\?\n {2}.*user-directory-dev-api/,
    )
    expect(absent.code).toBe(1)
    expect(unknown).toEqual({ code: 1, output: '--stage must be one of: dev, small, prod. It is: staging\n' })
  })
})
