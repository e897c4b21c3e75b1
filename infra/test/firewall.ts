// The firewall against what callers may send: the managed rules, as AWS describes them, over text.
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { StageTemplates } from './stage-templates.ts'

type Call = { path: string; query: string; body: string; headers: string }
type Part = keyof Call
type Rule = { group: string; name: string; part: Part; matches: (text: string) => boolean }

// https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html. AWS publishes no
// patterns, so these are wider than its own.
const patterns: [group: string, name: string, parts: Record<string, Part>, pattern: RegExp][] = [
  [
    'CommonRuleSet',
    'EC2MetaDataSSRF',
    { BODY: 'body', URIPATH: 'path', QUERYARGUMENTS: 'query' },
    /169\.254\.169\.254/,
  ],
  [
    'CommonRuleSet',
    'GenericLFI',
    { BODY: 'body', URIPATH: 'path', QUERYARGUMENTS: 'query' },
    /\.\.[/\\]|\/etc\/passwd/i,
  ],
  [
    'CommonRuleSet',
    'GenericRFI',
    { BODY: 'body', URIPATH: 'path', QUERYARGUMENTS: 'query' },
    /(https?|ftps?|file):\/\/\d{1,3}(\.\d{1,3}){3}/i,
  ],
  [
    'CommonRuleSet',
    'RestrictedExtensions',
    { URIPATH: 'path', QUERYARGUMENTS: 'query' },
    /\.(log|ini|conf|config|bak|env|dat|key|pem|sql)\b/i,
  ],
  [
    'CommonRuleSet',
    'CrossSiteScripting',
    { BODY: 'body', URIPATH: 'path', QUERYARGUMENTS: 'query' },
    /<\/?[a-z!]|javascript:|\bon\w+=/i,
  ],
  [
    'KnownBadInputsRuleSet',
    'Log4JRCE',
    { BODY: 'body', URIPATH: 'path', QUERYSTRING: 'query', HEADER: 'headers' },
    /\$\{/,
  ],
  [
    'KnownBadInputsRuleSet',
    'JavaDeserializationRCE',
    { BODY: 'body', URIPATH: 'path', QUERYSTRING: 'query', HEADER: 'headers' },
    /rO0AB|java\.lang\.Runtime|ProcessBuilder/,
  ],
  ['KnownBadInputsRuleSet', 'ReactJSRCE', { BODY: 'body' }, /__proto__|constructor/],
]
const sizes: [name: string, part: Part, bytesMax: number][] = [
  ['SizeRestrictions_QUERYSTRING', 'query', 2_048],
  ['SizeRestrictions_BODY', 'body', 8_192],
  ['SizeRestrictions_URIPATH', 'path', 1_024],
]
const rules: Rule[] = [
  ...patterns.flatMap(([group, name, parts, pattern]) =>
    Object.entries(parts).map(([suffix, part]) => ({
      group,
      name: `${name}_${suffix}`,
      part,
      matches: (text: string) => pattern.test(text),
    })),
  ),
  ...sizes.map(([name, part, bytesMax]) => ({
    group: 'CommonRuleSet',
    name,
    part,
    matches: (text: string) => Buffer.byteLength(text) > bytesMax,
  })),
]

const placeholder = '$'.concat('{jndi:ldap://x}')
const read = (query: string): Call => ({ path: '/user', query, body: '', headers: '' })
const write = (body: string): Call => ({ path: '/user', query: '', body, headers: '' })

/** Every text that the API's own test files hold, sent as a search and as a name. */
function suiteInputs(): Call[] {
  const folder = new URL('../../test/', import.meta.url)
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.test.ts'),
  )
  const texts = new Set(
    files.flatMap((file) =>
      [...readFileSync(new URL(file, folder), 'utf8').matchAll(/'((?:[^'\\\n]|\\.)+)'/g)].map(
        ([, text = '']) => text,
      ),
    ),
  )
  return [...texts].flatMap((text) => {
    // Documented paths, whose ids are UUIDs.
    const [, path, query = ''] = /^(\/(?:user|upload)(?:\/[0-9a-f-]{36})?)(?:\?(.*))?$/.exec(text) ?? []
    if (path) return [{ ...read(query), path }]
    return [read(`search=${text}`), write(JSON.stringify({ name: text }))]
  })
}

const ids = Array.from(
  { length: 100 },
  (_, index) => `0197f3c2-6d1a-7c54-9a0e-${String(index).padStart(12, '0')}`,
)
const documented: [what: string, Call][] = [
  ['100 ids', read(`ids=${ids.join()}`)],
  ['a search for web.config', read('search=web.config')],
  [
    'a contact that is a private address',
    write('{"contacts":[{"contact_type":"WORK","value":"http://10.0.0.5/"}]}'),
  ],
  ['a name with markup', write('{"name":"<script>alert(1)</script>"}')],
  ['an attribute with a placeholder', write(JSON.stringify({ attributes: { template: placeholder } }))],
  ['an attribute with a path', write('{"attributes":{"home":"../../etc/passwd"}}')],
  ['an avatar of 4 MB', write('A'.repeat(4_000_000))],
]

export function firewallTests({ stage, properties }: StageTemplates): void {
  if (!stage.firewall) return
  type Group = {
    Statement: {
      ManagedRuleGroupStatement?: {
        Name: string
        RuleActionOverrides?: { Name: string; ActionToUse: { Count?: unknown } }[]
      }
    }
  }
  const [acl = {}] = properties('AWS::WAFv2::WebACL')
  const counted = (acl.Rules as Group[]).flatMap(
    ({ Statement: { ManagedRuleGroupStatement: group } }) =>
      group?.RuleActionOverrides?.flatMap(({ Name, ActionToUse }) =>
        ActionToUse.Count ? [`${group.Name.replace('AWSManagedRules', '')} ${Name}`] : [],
      ) ?? [],
  )
  const blockedBy = (call: Call, counted: string[]) =>
    rules.filter(
      ({ group, name, part, matches }) => !counted.includes(`${group} ${name}`) && matches(call[part]),
    )

  test.each(documented)('the firewall lets %s through', (_, call) => {
    expect(blockedBy(call, [])).not.toEqual([])
    expect(blockedBy(call, counted)).toEqual([])
  })

  test('the firewall lets the inputs of the API’s own tests through', () => {
    const inputs = suiteInputs()
    expect(inputs.length).toBeGreaterThan(1_000)
    for (const call of inputs)
      expect(
        blockedBy(call, counted).map(({ name }) => name),
        JSON.stringify(call),
      ).toEqual([])
  })

  test('the firewall still blocks attacks in paths and headers', () => {
    const attack = { ...read(''), path: '/../../etc/passwd', headers: `x: ${placeholder}` }
    expect(blockedBy(attack, counted).map(({ name }) => name)).toEqual([
      'GenericLFI_URIPATH',
      'Log4JRCE_HEADER',
    ])
  })

  test('an address that sends too much is answered 429 with a problem document and Retry-After', () => {
    const [{ Action }] = acl.Rules as [
      {
        Action: { Block: { CustomResponse: { CustomResponseBodyKey: string; ResponseHeaders: unknown[] } } }
      },
    ]
    const { CustomResponseBodyKey, ...response } = Action.Block.CustomResponse
    expect(response).toMatchObject({
      ResponseCode: 429,
      ResponseHeaders: expect.arrayContaining([{ Name: 'Retry-After', Value: '60' }]),
    })
    const bodies = acl.CustomResponseBodies as Record<string, { Content: string }>
    expect(JSON.parse(bodies[CustomResponseBodyKey]?.Content ?? '')).toMatchObject({
      type: 'urn:problem:overloaded',
      status: 429,
    })
  })
}
