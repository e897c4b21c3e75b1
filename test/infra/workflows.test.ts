// Rules for the workflows beyond those that actionlint checks.
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'

type Step = {
  uses?: string
  run?: string
  if?: string
  with?: Record<string, unknown>
  'continue-on-error'?: boolean
}
type Job = {
  uses?: string
  environment?: string
  permissions?: Record<string, string>
  'timeout-minutes'?: number
  steps?: Step[]
}
type Workflow = {
  on: unknown
  permissions?: unknown
  concurrency?: { group: string; 'cancel-in-progress': boolean }
  jobs: Record<string, Job>
}

const folder = '.github/workflows'
const sources = readdirSync(folder).map((file) => ({ file, text: readFileSync(`${folder}/${file}`, 'utf8') }))
const workflows = sources.map(({ file, text }) => ({ file, ...(parse(text) as Workflow) }))
const jobs = workflows.flatMap(({ file, jobs }) =>
  Object.entries(jobs).map(([name, job]) => ({ name: `${file}: ${name}`, ...job })),
)

describe('the workflows', () => {
  it('are all read by this test', () => {
    expect(workflows.map(({ file }) => file)).toEqual([
      'checks.yml',
      'deploy-stage.yml',
      'deploy.yml',
      'pull-request.yml',
    ])
    expect(jobs.length).toBeGreaterThanOrEqual(7)
  })

  it('pin every action to a commit, with the version in a comment', () => {
    const uses = sources.flatMap(({ text }) => text.match(/uses: .*/g) ?? [])
    expect(uses.length).toBeGreaterThan(10)
    for (const use of uses)
      expect(use).toMatch(
        /^uses: (\.\/\.github\/workflows\/[a-z-]+\.yml|[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/,
      )
  })

  it('grant no permission by default, and each job only those it needs', () => {
    for (const { permissions } of workflows) expect(permissions).toEqual({})
    for (const { name, permissions } of jobs) {
      const { contents, 'id-token': idToken, 'pull-requests': pullRequests, ...others } = permissions ?? {}
      expect([name, contents, others]).toEqual([name, 'read', {}])
      expect([undefined, 'write']).toContain(idToken)
      expect([undefined, name === 'pull-request.yml: diff' ? 'write' : undefined]).toContain(pullRequests)
    }
  })

  it('have a time limit on each job', () => {
    for (const { name, uses, 'timeout-minutes': minutes } of jobs)
      if (uses === undefined) expect([name, (minutes ?? Infinity) <= 120]).toEqual([name, true])
  })

  it('use no secrets: AWS is accessed with OpenID Connect only', () => {
    for (const { text } of sources) expect(text).not.toMatch(/secrets\.|aws-access-key-id|AWS_SECRET/i)
    const entries = jobs.flatMap(({ steps = [] }) =>
      steps.filter(({ uses }) => uses?.startsWith('aws-actions/')),
    )
    expect(entries).toHaveLength(2)
    for (const entry of entries) expect(entry.with).toHaveProperty('role-to-assume')
  })

  it('use no untrusted input in commands', () => {
    for (const { steps = [] } of jobs) for (const { run = '' } of steps) expect(run).not.toContain('${{')
  })

  it('use no trigger that a pull request from a fork could misuse', () => {
    for (const { on } of workflows) expect(JSON.stringify(on)).not.toContain('pull_request_target')
  })

  it('never deploy twice at once to a stage, nor cancel a deployment in progress', () => {
    const deployments = workflows.filter(({ jobs }) =>
      Object.values(jobs).some(({ environment }) => environment),
    )
    expect(deployments.map(({ file }) => file)).toEqual(['deploy-stage.yml'])
    expect(deployments[0]?.concurrency).toEqual({
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is GitHub's expression
      group: 'deploy-${{ inputs.stage }}',
      'cancel-in-progress': false,
    })
  })

  it('deploy to prod the assembly that was tested on dev', () => {
    const { jobs } = workflows.find(({ file }) => file === 'deploy.yml') as unknown as {
      jobs: Record<string, { needs: string[]; with: Record<string, string> }>
    }
    expect(jobs.prod?.needs).toContain('dev')
    expect(jobs.prod?.with).toEqual({ ...jobs.dev?.with, stage: 'prod' })
  })

  it('deploy to prod after a push only with required reviewers', () => {
    const { jobs } = workflows.find(({ file }) => file === 'deploy.yml') as unknown as {
      jobs: Record<string, { if?: string }>
    }
    expect(jobs.prod?.if).toBe(
      "vars.PROD_HAS_REVIEWERS == 'true' || github.event_name == 'workflow_dispatch'",
    )
    // A dispatched run of another branch deploys nothing: prod needs dev.
    expect(jobs.dev?.if).toContain("github.ref == 'refs/heads/main'")
  })

  it('fail on vulnerabilities in production dependencies, and report others', () => {
    const audits = jobs.flatMap(({ steps = [] }) => steps.filter(({ run }) => run?.startsWith('npm audit')))
    expect(audits.map(({ run, 'continue-on-error': goesOn = false }) => [run, goesOn])).toEqual([
      ['npm audit', true],
      ['npm audit --omit=dev --workspaces=false --audit-level=high', false],
    ])
  })

  it('update packages, actions and images only a week after their release', () => {
    const { updates } = parse(readFileSync('.github/dependabot.yml', 'utf8')) as {
      updates: { cooldown?: Record<string, number> }[]
    }
    expect(updates).toHaveLength(4)
    for (const { cooldown } of updates) expect(cooldown?.['default-days']).toBeGreaterThanOrEqual(7)
  })

  it('run only commands that package.json has', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      scripts: Record<string, string>
    }
    const commands = sources.flatMap(({ text }) =>
      [...text.matchAll(/npm run ([\w-]+)/g)].map(([, name]) => name),
    )
    expect(commands.length).toBeGreaterThan(5)
    for (const name of commands) expect(scripts).toHaveProperty(name ?? '')
  })
})

describe('the roles for GitHub', () => {
  type Value =
    | string
    | { Ref?: string; 'Fn::If'?: Value[]; 'Fn::Sub'?: unknown[] | string; [name: string]: unknown }
  const template = parse(readFileSync('infra/github-oidc.yaml', 'utf8'), {
    // Replaces CloudFormation's short forms by long ones.
    customTags: ['Ref', 'If', 'Sub', 'Equals', 'Not', 'Select', 'Split', 'GetAtt', 'Or', 'And'].flatMap(
      (name) =>
        (['map', 'seq', undefined] as const).map((collection) => ({
          tag: `!${name}`,
          ...(collection && { collection }),
          resolve: (value: unknown) => ({
            [name === 'Ref' ? name : `Fn::${name}`]:
              typeof value === 'string' ? value : (value as { toJSON(): unknown }).toJSON(),
          }),
        })),
    ),
  })

  /** @returns the subjects that a role trusts */
  const trusted = (role: string, parameters: Record<string, string>): string => {
    const evaluate = (value: Value, own: Record<string, string> = parameters): string => {
      if (typeof value === 'string') return value
      if (value.Ref !== undefined) return own[value.Ref] ?? ''
      const select = value['Fn::Select'] as [number, { 'Fn::Split': [string, Value] }] | undefined
      if (select) return evaluate(select[1]['Fn::Split'][1]).split(select[1]['Fn::Split'][0])[select[0]] ?? ''
      const when = value['Fn::If']
      if (when) return evaluate((parameters.RepositoryId ? when[1] : when[2]) ?? '')
      const [text, more = {}] = [value['Fn::Sub'] ?? ''].flat() as [string, Record<string, Value>?]
      const known = Object.fromEntries(Object.entries(more).map(([name, each]) => [name, evaluate(each)]))
      return text.replace(/\$\{(\w+)\}/g, (_, name: string) => known[name] ?? own[name] ?? '')
    }
    const { Condition } = template.Resources[role].Properties.AssumeRolePolicyDocument.Statement[0]
    expect(Object.keys(Condition)).toEqual(['StringEquals'])
    return evaluate(Condition.StringEquals['token.actions.githubusercontent.com:sub'])
  }

  it('trust the subject that GitHub sends, with or without repository ids', () => {
    const named = { Repository: 'octo-org/octo.repo', Stage: 'prod', OwnerId: '', RepositoryId: '' }
    const withIds = { ...named, OwnerId: '123456', RepositoryId: '456789' }
    expect(trusted('DeployRole', named)).toBe('repo:octo-org/octo.repo:environment:prod')
    expect(trusted('DeployRole', withIds)).toBe('repo:octo-org@123456/octo.repo@456789:environment:prod')
    expect(trusted('DiffRole', named)).toBe('repo:octo-org/octo.repo:pull_request')
    expect(trusted('DiffRole', withIds)).toBe('repo:octo-org@123456/octo.repo@456789:pull_request')
  })
})
