// Rules for the Helm chart that need no helm. `npm run test:chart` renders it.
import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { settingNames } from '../../src/platform/settings.ts'

const chart = 'charts/user-directory'
const read = (file: string) => readFileSync(`${chart}/${file}`, 'utf8')
const values = parse(read('values.yaml')) as { settings: Record<string, string> }
const examples = readdirSync(`${chart}/ci`).map((file) => parse(read(`ci/${file}`)) as typeof values)
/** Variables of the AWS SDK and of Node. */
const others = ['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'NODE_ENV']
const isKnown = (name: string) => settingNames.includes(name) || others.includes(name)

it('only settings that the service has are set', () => {
  const templates = ['deployment.yaml', 'migration.yaml'].map((file) => read(`templates/${file}`)).join('\n')
  const named = [...templates.matchAll(/- name: ([A-Z_]+)$/gm)].map(([, name = '']) => name)
  const given = [values, ...examples].flatMap(({ settings = {} }) => Object.keys(settings))
  const described = [...read('values.yaml').matchAll(/\b[A-Z]+_[A-Z_]+\b/g)].map(([name]) => name)
  expect(named).toEqual(['PORT', 'SHUTDOWN_DELAY', 'METRICS_PORT'])
  expect([...named, ...given, ...described].filter((name) => !isKnown(name))).toEqual([])
})

it('secrets are taken from an existing Secret, and never from values', () => {
  const schema = JSON.parse(read('values.schema.json')) as {
    required: string[]
    properties: { settings: { propertyNames: { not: { enum: string[] } } } }
  }
  const rejected = schema.properties.settings.propertyNames.not.enum
  expect(rejected.filter((name) => !isKnown(name))).toEqual([])
  expect(rejected).toEqual(
    expect.arrayContaining(['DATABASE_URL', 'REDIS_URL', 'CONSOLE_CLIENT_SECRET', 'AWS_SECRET_ACCESS_KEY']),
  )
  expect(schema.required).toContain('existingSecret')
})

it('the chart has the version of the service', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  expect(parse(read('Chart.yaml'))).toMatchObject({ version, appVersion: version })
})
