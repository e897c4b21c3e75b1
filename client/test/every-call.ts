// The calls that the tests of the package run in each environment. Nothing is imported but types, so that each can load it.
import type * as Client from '../src/index.ts'

export type Given = { url: string; token: string; lostUrl: string; prefix: string; picture: number[] }

/** @param client the installed package. @returns what the tests compare, as JSON */
export async function callAll(client: typeof Client, { url, token, lostUrl, prefix, picture }: Given) {
  const { ConnectionError, openUserDirectory, ProblemError } = client
  const { users, imports, exports } = openUserDirectory({ url, token })
  const failureOf = (call: Promise<unknown>) =>
    call.then(
      () => undefined,
      (error: unknown) => error,
    )
  const create = (at: number) => users.create({ username: `${prefix}.${at}`, password: 'a-good-password' })
  const [{ id }, second, third] = [await create(1), await create(2), await create(3)]
  const listed: string[] = []
  for await (const { username } of users.list({ search: prefix, sort: 'username', limit: 2 }))
    listed.push(username)

  const changed = await users.update(id, () => ({ name: 'Ada' }))
  const stale = await failureOf(users.patch(id, { name: 'Eve' }, { version: 1 }))
  const avatar = await users.uploadAvatar(id, new Blob([new Uint8Array(picture)]))

  const imported = await imports.create({ format: 'ndjson', dry_run: true })
  await imports.sendFile(imported, new Blob([`{"username":"${prefix}.4"}\n{}\n`]))
  await imports.start(imported.id)
  let last: Client.Job | undefined
  for await (const job of imports.follow(imported.id)) last = job
  const refused: number[] = []
  for await (const { line } of imports.errors(imported.id)) refused.push(line)

  const exported = await exports.create({ format: 'ndjson', filters: { username: second.username } })
  for await (const _ of exports.follow(exported.id));
  const file = await new Response(await exports.file(exported.id)).text()

  await users.erase(third.id, { version: 1 })
  const missing = await failureOf(users.get(third.id))
  const lost = openUserDirectory({ url: lostUrl, token, attemptsMax: 1 })
  return {
    listed,
    changed: [changed.name, changed.version],
    stale: stale instanceof ProblemError && [stale.status, stale.version],
    avatar: avatar.file_path,
    imported: [last?.state, last?.created, refused],
    exported: /"username":"([^"]+)"/.exec(file)?.[1],
    missing: missing instanceof ProblemError && [missing.status, typeof missing.requestId],
    isUnreachable: (await failureOf(lost.users.get(id))) instanceof ConnectionError,
    aborted: await failureOf(users.get(id, { signal: AbortSignal.abort('enough') })),
  }
}
