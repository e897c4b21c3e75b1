// avatars: gives users who have no avatar the pictures of a folder, or those that a list of addresses names.
import { stat } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { ProblemError, type Users } from '../../../client/src/index.ts'
import { openPictureFetcher, PictureError } from '../avatars/fetch-picture.ts'
import { inFolder, inList, type Picture } from '../avatars/sources.ts'
import type { CommandContext, Run } from '../context.ts'
import { CommandError, exitCodes, Interrupted } from '../exit-codes.ts'
import { printable } from '../output/printable.ts'
import { openProgress } from '../output/progress.ts'

type AvatarOptions = { match: 'username' | 'external_id'; fetch?: boolean; allowPrivate?: boolean }
type Outcome = 'stored' | 'kept' | 'refused'

const atOnce = 4
// The service refuses these pictures, and another attempt would not help.
const refusals = [400, 412, 413, 415, 422]

export function addAvatars(program: Command, run: Run): void {
  program
    .command('avatars <source>')
    .description('Give users without an avatar the pictures of a folder, or those of a list of addresses.')
    .addOption(
      new Option('--match <field>', 'the field that the pictures are named after')
        .choices(['username', 'external_id'])
        .default('username'),
    )
    .option('--fetch', 'the source is a list: fetches its pictures from their https addresses')
    .option('--allow-private', 'also fetches from private networks and this machine')
    .action(run(giveAvatars))
}

async function giveAvatars(ctx: CommandContext, source: string, options: AvatarOptions): Promise<void> {
  const { output, signal } = ctx
  const { directory } = await ctx.openSession()
  const fetcher = openPictureFetcher({ allowsPrivate: options.allowPrivate === true })
  const pictures = await openSource(source, options, (address) => fetcher.fetch(address, signal))
  const counts: Record<Outcome, number> = { stored: 0, kept: 0, refused: 0 }
  const progress = openProgress()
  const give = async (picture: Picture): Promise<void> => {
    signal.throwIfAborted()
    const result = await giveAvatar(directory.users, picture, { match: options.match, signal })
    counts[result.outcome]++
    progress.show({
      label: 'Avatars',
      share: undefined,
      details: Object.entries(counts).map(([name, count]) => `${count} ${name}`),
    })
    if (result.outcome !== 'refused') return
    const { place } = picture
    if (output.isJson) await output.json({ place, message: result.message })
    else await output.line(printable(`${place}  ${result.message}`))
  }
  try {
    await forEach(pictures, give)
  } catch (error) {
    throw signal.aborted ? new Interrupted('Stopped. The same command goes on.') : error
  } finally {
    progress.end()
    fetcher.close()
  }
  const { stored, kept, refused } = counts
  output.note(`${stored} stored, ${kept} kept because the user has an avatar, ${refused} refused.`)
  if (refused > 0) process.exitCode = exitCodes.rowsRefused
}

async function openSource(
  source: string,
  { fetch = false }: AvatarOptions,
  fetchPicture: Parameters<typeof inList>[1],
): Promise<AsyncGenerator<Picture>> {
  const found = await stat(source).catch(() => undefined)
  if (!fetch && found?.isDirectory()) return inFolder(source)
  if (fetch && found?.isFile()) return inList(source, fetchPicture)
  throw new CommandError(
    'usage',
    `${source} must be a folder of pictures, or with --fetch a file that lists their addresses.`,
  )
}

async function giveAvatar(
  users: Users,
  picture: Picture,
  { match, signal }: { match: AvatarOptions['match']; signal: AbortSignal },
): Promise<{ outcome: 'stored' | 'kept' } | { outcome: 'refused'; message: string }> {
  const { fault, key } = picture
  if (fault !== undefined) return { outcome: 'refused', message: fault }
  try {
    const { items } = await users.page({ [match]: key, limit: 1 }, { signal })
    const [user] = items
    if (!user) return { outcome: 'refused', message: `has no user with this ${match}` }
    if (user.avatar !== null) return { outcome: 'kept' }
    await users.uploadAvatar(user.id, await picture.read(), { version: user.version, signal })
    return { outcome: 'stored' }
  } catch (error) {
    const isRefused =
      error instanceof PictureError || (error instanceof ProblemError && refusals.includes(error.status))
    if (!isRefused) throw error
    return { outcome: 'refused', message: error.message }
  }
}

async function forEach<T>(items: AsyncGenerator<T>, work: (item: T) => Promise<void>): Promise<void> {
  const takeAll = async (): Promise<void> => {
    for (let next = await items.next(); !next.done; next = await items.next()) await work(next.value)
  }
  try {
    await Promise.all(Array.from({ length: atOnce }, takeAll))
  } finally {
    // After an error the others end with what they are at.
    await items.return(undefined)
  }
}
