// The dashboard and the alert rules use only metrics that a running server exposes. `npm run test:alerts` runs the rules.
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { beforeAll, describe, expect, inject, it } from 'vitest'
import { parse } from 'yaml'
import { endpoints } from '../../src/handler/http/routes/index.ts'
import { freshDatabase } from '../support/database.ts'
import { startIssuer, tokenSettings } from '../support/issuer.ts'
import { freePort } from '../support/port.ts'
import { run, started } from '../support/server-process.ts'

type Rule = { alert: string; expr: string; labels: { severity: string }; annotations: { summary: string } }
type Panel = {
  title: string
  gridPos: { x: number; y: number; w: number; h: number }
  datasource: { uid: string }
  targets: { refId: string; expr: string; legendFormat: string }[]
}

const { groups } = parse(readFileSync('monitoring/alerts.yaml', 'utf8')) as { groups: { rules: Rule[] }[] }
const rules = groups.flatMap(({ rules }) => rules)
const { panels, templating } = JSON.parse(readFileSync('monitoring/dashboard.json', 'utf8')) as {
  panels: Panel[]
  templating: { list: { name: string; query: string }[] }
}
const queries = [
  ...rules.map(({ alert, expr }) => ({ place: alert, expr })),
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ place: title, expr }))),
  ...templating.list.map(({ name, query }) => ({ place: name, expr: query })),
]

let exposed: string

beforeAll(async () => {
  const issuer = await startIssuer()
  const port = await freePort()
  const server = await run(tmpdir(), {
    DATABASE_URL: await freshDatabase(),
    // A replica has metrics even if it does not answer.
    DATABASE_READ_URL: 'postgres://127.0.0.1:9/directory',
    REDIS_URL: inject('redisUrl'),
    ...tokenSettings(issuer.rules),
    METRICS_PORT: String(port),
    // The outbox has metrics only with a receiver. No change is sent to this one.
    EVENT_BUS: 'events',
    AWS_REGION: 'eu-west-1',
    AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
  })
  await started(server)
  await fetch(`${server.url}/user`)
  exposed = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return issuer.close
})

/** A metric with labels has no series before its first event, so its type counts too. */
function exposedNames(): Set<string> {
  return new Set([...exposed.matchAll(/^(?:# TYPE )?([a-z_]\w*)/gm)].map(([, name = '']) => name))
}

describe('the dashboard and the alert rules', () => {
  it('use only metrics that the server exposes', () => {
    const known = exposedNames()
    const used = queries.flatMap(({ place, expr }) =>
      [...expr.matchAll(/\b(?:user_directory|nodejs|process)_\w+/g)].map(([name]) => ({ place, name })),
    )
    expect(used.length).toBeGreaterThan(30)
    expect(used.filter(({ name }) => !known.has(name))).toEqual([])
  })

  it('show every metric of the service', () => {
    const shown = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join('\n')
    const own = [...exposed.matchAll(/^# TYPE (user_directory_\S+)/gm)].map(([, name = '']) => name)
    expect(own.length).toBeGreaterThanOrEqual(12)
    expect(own.filter((name) => !shown.includes(name))).toEqual([])
  })

  it('name routes that exist', () => {
    const routes = endpoints.map(({ path }) => path)
    const named = queries.flatMap(({ expr }) =>
      [...expr.matchAll(/route=~?"([^"]+)"/g)].flatMap(([, route = '']) => route.split('|')),
    )
    expect(named.length).toBeGreaterThan(0)
    expect(named.filter((route) => !routes.includes(route))).toEqual([])
  })
})

it('every alert has a severity, a summary, a proof and a line in the documents', () => {
  const proofs = readFileSync('monitoring/alerts.test.yaml', 'utf8')
  const documents = readFileSync('docs/operations.md', 'utf8')
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
  for (const { alert, labels, annotations } of rules) {
    expect(['critical', 'warning', 'info']).toContain(labels.severity)
    expect(annotations.summary).toMatch(/\S/)
    expect([alert, proofs.includes(`alertname: ${alert}`)]).toEqual([alert, true])
    expect([alert, documents.includes(`\`${alert}\``)]).toEqual([alert, true])
  }
})

it('the panels fill a grid without gaps, and ask the chosen Prometheus', () => {
  expect(panels.map(({ gridPos: { x, y, w, h } }) => [x, y, w, h])).toEqual(
    panels.map((_, index) => [12 * (index % 2), 8 * Math.floor(index / 2), 12, 8]),
  )
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is Grafana's variable
  for (const { datasource } of panels) expect(datasource.uid).toBe('${datasource}')
  for (const { targets } of panels)
    expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
})
