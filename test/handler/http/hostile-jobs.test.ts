// Hostile bodies for imports, exports and bulk changes.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Job } from '../../../src/model/job.ts'
import { startService } from '../../support/service.ts'

const service = await startService()
const { call } = service

const oddText = fc.oneof(
  fc.constantFrom('', '\0', 'a\0b', '\ud800', '__proto__', 'constructor', 'x'.repeat(4_001)),
  fc.string({ unit: 'binary', maxLength: 20 }),
)
const oddNumber = fc.oneof(fc.constantFrom(0, -0, -1, 2 ** 31, 2 ** 53, 1e300), fc.double(), fc.integer())
const odd = fc.oneof(oddText, oddNumber, fc.jsonValue({ maxDepth: 3 }), fc.constant(undefined))

/** Mostly valid values, so that what follows them is reached too. */
const mostly = (...valid: unknown[]) => fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...valid) }, odd)
const record = (fields: Record<string, fc.Arbitrary<unknown>>, needed: string[]) =>
  fc.oneof({ weight: 9, arbitrary: fc.record(fields, { requiredKeys: needed }) }, odd)
const named = (names: fc.Arbitrary<string>) => fc.dictionary(names, mostly('a', 'ACTIVE'), { maxKeys: 3 })
const filters = named(
  fc.oneof(
    fc.constantFrom('status', 'search', 'attribute.a', 'attribute.a[gt]', 'created_after', 'contact_type'),
    oddText,
  ),
)
const ids = fc.array(mostly('00000000-0000-7000-8000-000000000000'), { maxLength: 3 })

const bodies: Record<string, fc.Arbitrary<unknown>> = {
  '/import': record(
    {
      format: mostly('csv', 'firebase'),
      on_conflict: mostly('skip'),
      match: mostly('external_id'),
      dry_run: mostly(true),
      announce: mostly(false),
      mapping: named(fc.oneof(fc.constantFrom('name'), oddText)),
      options: record(
        {
          nested_values: mostly('drop'),
          missing_avatars: mostly('drop'),
          firebase: record(
            {
              base64_signer_key: mostly('QQ=='),
              base64_salt_separator: mostly('Bw=='),
              rounds: mostly(8),
              mem_cost: mostly(14),
            },
            ['base64_signer_key', 'base64_salt_separator', 'rounds', 'mem_cost'],
          ),
        },
        [],
      ),
    },
    ['format'],
  ),
  '/export': record(
    { format: mostly('csv'), filters, ids: fc.oneof(ids, odd), include_hashes: mostly(false) },
    ['format'],
  ),
  '/bulk': record(
    {
      action: mostly('block', 'set_attributes'),
      attributes: named(fc.oneof(fc.constantFrom('a'), oddText)),
      filters,
      ids: fc.oneof(ids, odd),
      expected_total: mostly(1),
    },
    ['action'],
  ),
}

it.each(Object.entries(bodies))(
  'any JSON for %s is taken as it is sent, or refused with its faults',
  async (path, body) => {
    await fc.assert(
      fc.asyncProperty(body, async (json) => {
        const answer = await call<Job & { errors?: object[] }>('POST', path, { json: json ?? null })
        if (answer.status === 201) {
          const sent: object = JSON.parse(JSON.stringify(json))
          const { options: _options, ids: _ids, ...shown } = sent as Record<string, unknown>
          expect(answer.body).toMatchObject(shown)
          expect((await call('GET', `${path}/${answer.body.id}`)).status).toBe(200)
          await call('DELETE', `${path}/${answer.body.id}`)
        } else {
          expect(answer.status, answer.text).toBe(400)
          expect(answer.body.errors?.length, answer.text).toBeGreaterThan(0)
          expect(answer.text).not.toContain('is not valid')
        }
      }),
      { numRuns: 150 },
    )
    expect(service.log.filter(({ level }) => level === 'error')).toEqual([])
  },
)

it('a name that PostgreSQL cannot store is refused where it is', async () => {
  const answer = await call('POST', '/import', {
    json: { format: 'csv', mapping: { 'a\0': '', '\ud800': '' } },
  })
  expect(answer.body).toMatchObject({
    errors: [
      { pointer: '/mapping/a\ufffd', message: 'must not contain the character NUL' },
      { pointer: '/mapping/\ufffd', message: 'must be well-formed Unicode, without lone surrogates' },
    ],
  })
})
