// avatars: pictures of a folder, and of a list of addresses.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { png } from '../../test/support/picture.ts'
import { startService, uniqueName } from '../../test/support/service.ts'
import { openShell } from './command.ts'

const service = await startService()
const shell = await openShell({
  USER_DIRECTORY_SERVER: service.url,
  USER_DIRECTORY_TOKEN: service.tokens.admin,
  NODE_EXTRA_CA_CERTS: 'test/support/tls/ca.pem',
})
const picture = await png()
const avatarOf = async (id: string) =>
  (await service.call<{ avatar: string | null }>('GET', `/user/${id}`)).body.avatar

async function folderOf(files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = join(shell.config, uniqueName())
  await mkdir(folder)
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  return folder
}

it('gives each user the picture of its name, and once more keeps it', async () => {
  const [ada, bea] = [await service.makeUser(), await service.makeUser({ username: `${uniqueName()}/b%c` })]
  const folder = await folderOf({
    [`${ada.username}.png`]: picture,
    [`${encodeURIComponent(bea.username)}.PNG`]: picture,
    '.DS_Store': 'x',
  })
  expect(await shell.run('avatars', folder)).toMatchObject({
    code: 0,
    stdout: '',
    stderr: expect.stringContaining('2 stored, 0 kept because the user has an avatar, 0 refused.'),
  })
  const stored = [await avatarOf(ada.id), await avatarOf(bea.id)]
  expect(stored).toEqual([expect.stringContaining(ada.id), expect.stringContaining(bea.id)])
  expect((await shell.run('avatars', folder)).stderr).toContain('0 stored, 2 kept')
  expect([await avatarOf(ada.id), await avatarOf(bea.id)]).toEqual(stored)
})

it('reports each picture that is refused, and stores the others', async () => {
  const users = await Promise.all(Array.from({ length: 5 }, () => service.makeUser()))
  const [good = '', damaged = '', svg = '', large = '', link = ''] = users.map(({ username }) => username)
  const folder = await folderOf({
    [`${good}.png`]: picture,
    [`${damaged}.png`]: picture.subarray(0, 40),
    [`${svg}.png`]: '<svg xmlns="http://www.w3.org/2000/svg"/>',
    [`${large}.png`]: Buffer.alloc(5 * 1024 * 1024 + 1),
    'nobody.png': picture,
    [`${good}.txt`]: 'x',
  })
  await symlink('/etc/passwd', join(folder, `${link}.png`))
  const { code, stdout, stderr } = await shell.run('avatars', folder)
  expect([code, stderr]).toEqual([6, expect.stringContaining('1 stored, 0 kept')])
  expect(new Set(stdout.trim().split('\n'))).toEqual(
    new Set([
      `${damaged}.png  The image is broken or cannot be decoded. Save it again as PNG or JPEG.`,
      `${svg}.png  The image format is not supported. Send PNG, JPEG, WebP, GIF or AVIF.`,
      `${large}.png  is larger than 5 MB; scale it down`,
      'nobody.png  has no user with this username',
      `${link}.png  must be a file, and no folder or link`,
      `${good}.txt  must be named .png, .jpg, .webp, .gif or .avif`,
    ]),
  )
})

it('fetches the pictures of a list only with --fetch, and from this machine only with --allow-private', async () => {
  const ada = await service.makeUser({ external_id: `auth0|${uniqueName()}` })
  const bea = await service.makeUser({ external_id: uniqueName() })
  const server = createServer({
    key: readFileSync('test/support/tls/server-key.pem'),
    cert: readFileSync('test/support/tls/server.pem'),
  })
  let requests = 0
  server.on('request', (_request, response) => {
    requests++
    response.end(picture)
  })
  server.listen(0)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const list = join(shell.config, `${uniqueName()}.tsv`)
  await writeFile(
    list,
    `${ada.external_id}\thttps://localhost:${port}/a.png\n${bea.external_id}\t\nno tab\nnobody\thttps://localhost/\n`,
  )
  const words = ['avatars', list, '--match', 'external_id']
  expect(await shell.run(...words)).toMatchObject({ code: 2 })
  const refused = await shell.run(...words, '--fetch')
  expect(refused.stdout).toContain('line 1  has an address in a private network')
  expect([requests, await avatarOf(ada.id)]).toEqual([0, null])
  const { code, stdout, stderr } = await shell.run('--json', ...words, '--fetch', '--allow-private')
  expect([code, stderr]).toEqual([6, expect.stringContaining('1 stored, 0 kept')])
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .sort((a, b) => a.place.localeCompare(b.place)),
  ).toEqual([
    { place: 'line 3', message: 'must have a user, a tab and an address' },
    { place: 'line 4', message: 'has no user with this external_id' },
  ])
  expect([requests, await avatarOf(ada.id)]).toEqual([1, expect.stringContaining('avatars/')])
  server.closeAllConnections()
  server.close()
})

it('a line without an end is refused before it fills the memory', async () => {
  const list = join(shell.config, uniqueName())
  await writeFile(list, 'x'.repeat(200_000))
  expect(await shell.run('avatars', list, '--fetch')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('lines of at most 8192 characters'),
  })
})
