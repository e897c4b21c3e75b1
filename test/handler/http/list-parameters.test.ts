// The parameters of a list: each invalid one is rejected by its name.
import { describe, expect, it } from 'vitest'
import { startService } from '../../support/service.ts'

type Problem = { errors: { parameter: string; message: string }[] }

const { call } = await startService()

describe('a parameter', () => {
  it.each([
    ['limit=0'],
    ['limit=201'],
    ['limit=1.5'],
    ['limit=-1'],
    ['limit='],
    ['limit=1&limit=2'],
    ['sort=age'],
    ['sort=created_at,name'],
    ['status=active'],
    ['contact_type=FAX'],
    ['count=yes'],
    ['ids='],
    ['ids=x'],
    [`ids=${Array(101).fill(crypto.randomUUID()).join()}`],
    ['created_after=yesterday'],
    ['created_after=2026-11-22'],
    ['updated_before=2026-02-30T00:00:00Z'],
    ['created_before=0000-01-01T00:00:00Z'],
    ['username='],
    ['username=a%20b'],
    ['external_id='],
    ['external_id=a%09'],
    [`external_id=${'x'.repeat(256)}`],
    ['attribute=x'],
    ['attribute.=x'],
    ['attribute.A=x'],
    ['attribute.a.b=x'],
    ['attribute.a-b=x'],
    ['attribute.__proto__=x'],
    [`attribute.a=${'x'.repeat(513)}`],
    ['attribute.a=1&attribute.a=2'],
    ['attribute.a=%00'],
    ['contact='],
    ['search=%00'],
    ['search=M%FCller'],
    ['contact=%C3'],
    ['cursor=%ED%A0%80'],
    ['nope=%FF'],
    ['%zz'],
    [`search=${'x'.repeat(257)}`],
    ['nope=1'],
    ['__proto__=1'],
    ['constructor=1'],
    [`search=${Array.from({ length: 17 }, (_, at) => `w${at}`).join('+')}`],
  ])('that is invalid is a 400 with its name: %s', async (query) => {
    const answer = await call<Problem>('GET', `/user?${query}`)
    expect(answer.status).toBe(400)
    expect(new Set(answer.body.errors.map(({ parameter }) => parameter))).toEqual(
      new Set([query.split('=')[0]]),
    )
  })

  it('attribute is sent for at most ten attributes', async () => {
    const query = (count: number) =>
      Array.from({ length: count }, (_, at) => `attribute.a${at}=${at}`).join('&')
    expect((await call('GET', `/user?${query(10)}`)).status).toBe(200)
    expect((await call<Problem>('GET', `/user?${query(11)}`)).body.errors).toEqual([
      { parameter: 'attribute', message: 'must be sent for at most 10 attributes' },
    ])
  })

  it('that is invalid is reported together with all others', async () => {
    const answer = await call<Problem>('GET', '/user?limit=0&sort=x&nope=1&status=')
    expect(answer.body.errors.map(({ parameter }) => parameter).sort()).toEqual([
      'limit',
      'nope',
      'sort',
      'status',
    ])
  })
})
