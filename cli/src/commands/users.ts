// users list, get, create, update, block, unblock and erase.
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { NewUser, User, UserQuery, Users } from '../../../client/src/index.ts'
import type { CommandContext, Run } from '../context.ts'
import { CommandError } from '../exit-codes.ts'
import type { Output } from '../output/output.ts'
import { printable } from '../output/printable.ts'
import { confirmLoss } from '../output/prompts.ts'
import { addFilters, type FilterOptions, readFilters, toQuery } from './filters.ts'
import { addFields, type FieldOptions, readAvatar, readFields } from './user-fields.ts'

type ListOptions = FilterOptions & { sort?: UserQuery['sort']; limit: number; all?: boolean }

const pageSize = 200
const idPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const columns = [
  { title: 'id', value: ({ id }: User) => id },
  { title: 'username', value: ({ username }: User) => username },
  { title: 'name', value: ({ name }: User) => name },
  { title: 'status', value: ({ status }: User) => status },
  { title: 'contact', value: ({ contacts }: User) => contacts[0]?.value ?? null },
  { title: 'updated', value: ({ updated_at }: User) => updated_at.slice(0, 16).replace('T', ' ') },
]

export function addUsers(program: Command, run: Run): void {
  const users = program.command('users').description('Find and change users.')
  addFilters(users.command('list').description('List users.'))
    .addOption(new Option('--sort <field>', 'such as username or -created_at'))
    .option('--limit <count>', 'how many at most', readCount, 50)
    .option('--all', 'without a limit')
    .action(run(list))
  users.command('get <user>').description('Show a user, by id or username.').action(run(get))
  addFields(users.command('create').description('Create a user.')).action(run(create))
  addFields(users.command('update <user>').description('Change the given fields of a user.'))
    .option('--if-version <version>', 'fails if the user has another version', readCount)
    .action(run(update))
  for (const [name, status, effect] of [
    ['block', 'BLOCKED', 'They can no longer sign in, and their tokens end.'],
    ['unblock', 'ACTIVE', 'They can sign in again.'],
  ] as const)
    users
      .command(`${name} <users...>`)
      .description(effect)
      .action(run((ctx, given: string[]) => setStatus(ctx, given, status)))
  users
    .command('erase <users...>')
    .description('Erase users with their contacts and avatars.')
    .option('--yes', 'does not ask')
    .action(run(erase))
}

async function list(ctx: CommandContext, options: ListOptions): Promise<void> {
  const { output, signal } = ctx
  const { directory } = await ctx.openSession()
  const showRows = output.table(columns)
  let left = options.all ? Number.POSITIVE_INFINITY : options.limit
  const { sort } = options
  const query: UserQuery = { ...toQuery(readFilters(options)), ...(sort !== undefined && { sort }) }
  let cursor: string | undefined
  do {
    const page = await directory.users.page(
      { ...query, limit: Math.min(left, pageSize), ...(cursor !== undefined && { cursor }) },
      { signal },
    )
    if (output.isJson) for (const user of page.items) await output.json(user)
    else await showRows(page.items)
    left -= page.items.length
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined && left > 0)
  if (cursor !== undefined) output.note('There are more. Use --limit or --all.')
}

async function get(ctx: CommandContext, given: string): Promise<void> {
  const { directory } = await ctx.openSession()
  await showUser(ctx.output, await findUser(directory.users, given, ctx.signal))
}

async function create(ctx: CommandContext, options: FieldOptions): Promise<void> {
  const { signal, output } = ctx
  const { directory } = await ctx.openSession()
  const fields = await readFields(asksPassword(options) ? { ...options, password: true } : options)
  const image = await readAvatar(options)
  const user = await directory.users.create(fields as NewUser, { signal })
  if (image) await directory.users.uploadAvatar(user.id, image, { signal })
  await showUser(output, image ? await directory.users.get(user.id, { signal }) : user)
}

/** The password may be in the file. */
function asksPassword({ file, password, passwordStdin }: FieldOptions): boolean {
  return file === undefined && password === undefined && !passwordStdin
}

async function update(
  ctx: CommandContext,
  given: string,
  options: FieldOptions & { ifVersion?: number },
): Promise<void> {
  const { signal, output } = ctx
  const { directory } = await ctx.openSession()
  const found = await findUser(directory.users, given, signal)
  const fields = await readFields(options)
  const image = await readAvatar(options)
  if (Object.keys(fields).length === 0 && !image)
    throw new CommandError('usage', 'Name the fields to change, such as --name.')
  const version = options.ifVersion
  let user = found
  if (Object.keys(fields).length > 0)
    user = await directory.users.patch(found.id, fields, {
      signal,
      ...(version !== undefined && { version }),
    })
  if (image) {
    await directory.users.uploadAvatar(user.id, image, {
      signal,
      ...(version !== undefined && { version: user.version }),
    })
    user = await directory.users.get(user.id, { signal })
  }
  await showUser(output, user)
}

async function setStatus(ctx: CommandContext, given: string[], status: User['status']): Promise<void> {
  const { signal, output } = ctx
  const { directory } = await ctx.openSession()
  for (const each of given) {
    const { id } = await findUser(directory.users, each, signal)
    const user = await directory.users.patch(id, { status }, { signal })
    if (output.isJson) await output.json(user)
    else await output.line(`${printable(user.username)} is ${status === 'BLOCKED' ? 'blocked' : 'active'}.`)
  }
}

async function erase(
  ctx: CommandContext,
  given: string[],
  { yes = false }: { yes?: boolean },
): Promise<void> {
  const { signal, output } = ctx
  const { directory } = await ctx.openSession()
  // All are found first, so that a wrong name erases no one.
  const found: User[] = []
  for (const each of given) found.push(await findUser(directory.users, each, signal))
  const names = found.map(({ username }) => printable(username))
  await confirmLoss(`Erase ${names.join(', ')}? This cannot be undone.`, yes)
  for (const { id, username } of found) {
    await directory.users.erase(id, { signal })
    if (output.isJson) await output.json({ id, username, erased: true })
    else await output.line(`${printable(username)} is erased.`)
  }
}

/** @param given an id or a username. @throws CommandError, ProblemError if there is no such user */
async function findUser(users: Users, given: string, signal: AbortSignal): Promise<User> {
  if (idPattern.test(given)) return users.get(given, { signal })
  const { items } = await users.page({ username: given, limit: 1 }, { signal })
  const [user] = items
  if (!user) throw new CommandError('notFound', `There is no user with the username ${given}.`)
  return user
}

async function showUser(output: Output, user: User): Promise<void> {
  if (output.isJson) return output.json(user)
  const { contacts, attributes, avatar: _, ...fields } = user
  const lines: [string, unknown][] = [
    ...Object.entries(fields),
    ...contacts.map(({ contact_type, value }): [string, unknown] => [contact_type.toLowerCase(), value]),
    ...Object.entries(attributes).map(([key, value]): [string, unknown] => [`attributes.${key}`, value]),
  ]
  const given = lines.filter(([, value]) => value !== null)
  const width = Math.max(...given.map(([name]) => name.length))
  for (const [name, value] of given) await output.line(printable(`${name.padEnd(width)}  ${value}`))
}

function readCount(given: string): number {
  if (!/^[1-9]\d{0,8}$/.test(given)) throw new InvalidArgumentError('It must be a number from 1.')
  return Number(given)
}
