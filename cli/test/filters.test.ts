// The options that select users are those of the API, for lists and for exports.
import { expect, it } from 'vitest'
import { openApiDocument } from '../../src/handler/http/openapi.ts'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { startService, uniqueName } from '../../test/support/service.ts'
import { openShell } from './command.ts'

const service = await startService()
startJobRunner(service)
const shell = await openShell({
  USER_DIRECTORY_SERVER: service.url,
  USER_DIRECTORY_TOKEN: service.tokens.admin,
})

type Document = { paths: { '/user': { get: { parameters: { name: string; in: string }[] } } } }
const paging = ['sort', 'limit', 'cursor', 'count']

it('every filter of the API is an option of both commands', async () => {
  const document = (await openApiDocument()) as unknown as Document
  const filters = document.paths['/user'].get.parameters
    .filter(({ name, in: place }) => place === 'query' && !paging.includes(name))
    .map(({ name }) => `--${name.replaceAll('_', '-')} `)
  for (const words of [
    ['users', 'list', '--help'],
    ['export', '--help'],
  ]) {
    const { stdout } = await shell.run(...words)
    for (const filter of filters) expect(stdout).toContain(filter)
  }
})

it('each option selects the users that match, and all of them at once', async () => {
  const user = await service.makeUser({
    name: uniqueName('name'),
    status: 'BLOCKED',
    external_id: uniqueName('auth0|'),
    contacts: [{ contact_type: 'WHATSAPP', value: uniqueName('+44') }],
    attributes: { team: uniqueName(), floor: 3 },
  })
  await service.makeUser({ contacts: [{ contact_type: 'PHONE', value: '+49 1' }] })
  const [before, after] = [-1, 1].map((ms) => new Date(Date.parse(user.created_at) + ms).toISOString()) as [
    string,
    string,
  ]
  const matching: Record<string, string> = {
    '--search': user.name ?? '',
    '--status': 'BLOCKED',
    '--username': user.username,
    '--contact-type': 'WHATSAPP',
    '--contact': user.contacts[0]?.value ?? '',
    '--external-id': user.external_id ?? '',
    '--ids': `${user.id},0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77`,
    '--attribute': `team=${user.attributes.team}`,
    '--created-before': after,
    '--updated-before': after,
  }
  const found = async (...options: string[]) =>
    (await shell.json('users', 'list', ...options)).map(({ id }) => id)
  for (const [option, value] of Object.entries(matching))
    expect(await found(option, value), option).toEqual([user.id])
  for (const option of ['--created-after', '--updated-after']) {
    expect(await found(option, before), option).toContain(user.id)
    expect(await found(option, after), option).not.toContain(user.id)
  }
  const all = [...Object.entries(matching).flat(), '--attribute', 'floor=3']
  expect(await found(...all)).toEqual([user.id])
  expect(await found(...all, '--attribute', 'floor=4')).toEqual([])
  const { code, stdout } = await shell.run('export', '-', ...all)
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { id: user.id }])
})

it('repeated ids add up, and the service names a filter that is not valid', async () => {
  const [one, other] = [await service.makeUser(), await service.makeUser()]
  const listed = await shell.json('users', 'list', '--ids', one.id, '--ids', other.id)
  expect(listed.map(({ id }) => id)).toEqual([one.id, other.id])
  for (const words of [
    ['users', 'list', '--created-after', 'yesterday'],
    ['export', '-', '--created-after', 'yesterday'],
  ])
    expect(await shell.run(...words)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/created_after/),
    })
  expect(await shell.run('users', 'list', '--attribute', 'team')).toMatchObject({ code: 2 })
})
