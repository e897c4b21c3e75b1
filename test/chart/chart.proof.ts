// The Helm chart as helm renders it.
import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { readSettings } from '../../src/platform/settings.ts'

type Container = {
  image: string
  args?: string[]
  securityContext: Record<string, unknown>
  env: { name: string; value: string }[]
  envFrom: object[]
  startupProbe?: object
  livenessProbe?: object
  readinessProbe?: object
}
type PodTemplate = {
  metadata: { labels: Record<string, string> }
  spec: {
    containers: Container[]
    terminationGracePeriodSeconds?: number
    securityContext: Record<string, unknown>
  }
}
type Resource = {
  kind: string
  metadata: { name: string; annotations?: Record<string, string> }
  spec: Record<string, unknown> & { template: PodTemplate }
}

const chart = 'charts/user-directory'

function helm(...options: string[]): string {
  return execFileSync('helm', options, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function render(file: string, ...sets: string[]): Map<string, Resource> {
  const changes = sets.flatMap((set) => ['--set', set])
  const text = helm(
    'template',
    'directory',
    chart,
    '--kube-version=1.34.0',
    `--values=${chart}/ci/${file}`,
    ...changes,
  )
  const resources = parseAllDocuments(text).map((document) => document.toJS() as Resource | null)
  return new Map(resources.filter((each) => each !== null).map((each) => [each.kind, each]))
}

const podsOf = (resources: Map<string, Resource>): PodTemplate[] =>
  ['Deployment', 'Job'].map((kind) => resources.get(kind)?.spec.template).filter((each) => each !== undefined)

for (const file of ['all-values.yaml', 'least-values.yaml'])
  it(`lints and renders with ${file}, and every pod runs without root and read-only`, () => {
    helm('lint', '--strict', chart, `--values=${chart}/ci/${file}`)
    const pods = podsOf(render(file))
    expect(pods).toHaveLength(2)
    for (const { spec } of pods) {
      expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 65_532 })
      expect(spec.containers.map(({ securityContext }) => securityContext)).toEqual([
        { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      ])
    }
  })

it('every part can be on, and the optional ones off', () => {
  const always = ['Deployment', 'Job', 'PodDisruptionBudget', 'Service', 'ServiceAccount']
  const optional = ['HorizontalPodAutoscaler', 'NetworkPolicy', 'ServiceMonitor']
  expect([...render('all-values.yaml').keys()].sort()).toEqual([...always, ...optional].sort())
  expect([...render('least-values.yaml').keys()].sort()).toEqual(always)
  expect(render('least-values.yaml').get('Deployment')?.spec.replicas).toBe(2)
  // Otherwise each upgrade would undo what the autoscaler decided.
  expect(render('all-values.yaml').get('Deployment')?.spec).not.toHaveProperty('replicas')
})

it('the server accepts the settings of the chart with those of a Secret', () => {
  const [server] = podsOf(render('all-values.yaml')).flatMap(({ spec }) => spec.containers)
  const given = Object.fromEntries(server?.env.map(({ name, value }) => [name, value]) ?? [])
  const secret = { DATABASE_URL: 'postgres://db/directory', REDIS_URL: 'redis://cache:6379' }
  const settings = readSettings({ NODE_ENV: 'production', ...secret, ...given }, '/app/.data')
  expect(settings).toMatchObject({ port: 3000, metricsPort: 9464, shutdownDelaySeconds: 10, workers: 2 })
})

it('probes start, watch and drain a server, which gets time to stop', () => {
  const deployment = render('all-values.yaml', 'shutdownDelay=60').get('Deployment')
  const [server] = deployment?.spec.template.spec.containers ?? []
  expect(server?.startupProbe).toMatchObject({ httpGet: { path: '/health' } })
  expect(server?.livenessProbe).toMatchObject({ httpGet: { path: '/health' } })
  expect(server?.readinessProbe).toMatchObject({ httpGet: { path: '/ready' } })
  expect(deployment?.spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(75)
})

it('migrations run before new servers, as the owner, and get no traffic', () => {
  const resources = render('all-values.yaml')
  const job = resources.get('Job')
  expect(job?.metadata.annotations).toMatchObject({ 'helm.sh/hook': 'pre-install,pre-upgrade' })
  const [migrate] = job?.spec.template.spec.containers ?? []
  expect(migrate?.args).toEqual(['src/cli/migrate.js'])
  expect(migrate?.envFrom.at(-1)).toEqual({ secretRef: { name: 'user-directory-owner' } })
  const selector = resources.get('Service')?.spec.selector as Record<string, string>
  const matches = (labels: Record<string, string> = {}) =>
    Object.entries(selector).every(([name, value]) => labels[name] === value)
  expect(matches(resources.get('Deployment')?.spec.template.metadata.labels)).toBe(true)
  expect(matches(job?.spec.template.metadata.labels)).toBe(false)
})

it('values without an image or a Secret, and secrets among the settings, are rejected', () => {
  for (const set of [
    'image.repository=',
    'existingSecret=',
    'settings.REDIS_URL=redis://cache',
    'settings.PORT=1',
  ])
    expect(() => render('least-values.yaml', set), set).toThrow("values don't meet the specifications")
})
