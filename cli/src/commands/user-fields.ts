// The options that give a user's fields.
import { openAsBlob } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { NewUser, UserChanges } from '../../../client/src/index.ts'
import { CommandError } from '../exit-codes.ts'
import { askPassword } from '../output/prompts.ts'

type Contact = NonNullable<NewUser['contacts']>[number]
type Attribute = [key: string, value: string | number | boolean | null]

export type FieldOptions = {
  file?: string
  username?: string
  name?: string
  status?: NewUser['status']
  externalId?: string
  contact?: Contact[]
  attribute?: Attribute[]
  /** `--password` asks, and `--no-password` removes it. */
  password?: boolean
  passwordStdin?: boolean
  avatar?: string | false
}

/** The larger one is refused by the service. */
const avatarBytesMax = 5 * 1024 * 1024

export function addFields(command: Command): Command {
  return command
    .option('--file <path>', 'the fields as JSON; - is stdin. Other options replace its fields')
    .option('--username <name>')
    .option('--name <name>', 'an empty text removes it')
    .addOption(new Option('--status <status>').choices(['ACTIVE', 'BLOCKED']))
    .option('--external-id <id>', 'an empty text removes it')
    .option('--contact <type=value>', 'such as EMAIL=ada@example.com; repeat it for several', collectContact)
    .option(
      '--attribute <key=value>',
      'such as department=Engines; an empty value removes it',
      collectAttribute,
    )
    .option('--password', 'asks for the password')
    .option('--no-password', 'the user has no password')
    .option('--password-stdin', 'reads the password from the first line of stdin')
    .option('--avatar <image>', 'PNG, JPEG, WebP, GIF or AVIF of at most 5 MB')
    .option('--no-avatar', 'removes the avatar')
}

/** @throws CommandError for a file that cannot be read. The service checks the fields */
export async function readFields(options: FieldOptions): Promise<UserChanges> {
  const { username, name, status, externalId, contact, attribute, avatar } = options
  const emptyIsNull = (value: string) => (value === '' ? null : value)
  const password = await readPassword(options)
  return {
    ...(options.file !== undefined && (await readJson(options.file))),
    ...(username !== undefined && { username }),
    ...(name !== undefined && { name: emptyIsNull(name) }),
    ...(status !== undefined && { status }),
    ...(externalId !== undefined && { external_id: emptyIsNull(externalId) }),
    ...(contact !== undefined && { contacts: contact }),
    ...(attribute !== undefined && { attributes: Object.fromEntries(attribute) }),
    ...(password !== undefined && { password }),
    ...(avatar === false && { avatar: null }),
  }
}

/** @returns the image of `--avatar`, which is sent by itself */
export async function readAvatar({ avatar }: FieldOptions): Promise<Blob | undefined> {
  if (typeof avatar !== 'string') return undefined
  const blob = await openAsBlob(avatar).catch((error: Error) => {
    throw new CommandError('usage', `The image cannot be read: ${error.message}`)
  })
  if (blob.size > avatarBytesMax) throw new CommandError('usage', 'The image must be at most 5 MB.')
  return blob
}

async function readPassword({ password, passwordStdin }: FieldOptions): Promise<string | null | undefined> {
  if (passwordStdin) return (await text(process.stdin)).split(/\r?\n/, 1)[0] ?? ''
  if (password === true)
    return askPassword('Password', 'Without a terminal, send the password with --password-stdin.')
  return password === false ? null : undefined
}

async function readJson(path: string): Promise<UserChanges> {
  try {
    const value: unknown = JSON.parse(path === '-' ? await text(process.stdin) : await readFile(path, 'utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as UserChanges
  } catch (error) {
    if (!(error instanceof SyntaxError))
      throw new CommandError('usage', `The file cannot be read: ${(error as Error).message}`)
  }
  throw new CommandError('usage', `${path} must hold one JSON object with the fields of a user.`)
}

function collectContact(given: string, earlier: Contact[] = []): Contact[] {
  const [type, value] = splitPair(given)
  // The service knows the types, and names them in its refusal.
  return [...earlier, { contact_type: type.toUpperCase() as Contact['contact_type'], value }]
}

function collectAttribute(given: string, earlier: Attribute[] = []): Attribute[] {
  const [key, value] = splitPair(given)
  return [...earlier, [key, readAttribute(value)]]
}

/** Text in double quotes stays text, such as `"42"`. */
function readAttribute(value: string): Attribute[1] {
  if (value === '') return null
  if (/^(true|false|-?\d+(\.\d+)?|".*")$/.test(value)) return JSON.parse(value) as string | number | boolean
  return value
}

/** @throws InvalidArgumentError without an equals sign */
export function splitPair(given: string): [string, string] {
  const at = given.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It must have the form name=value.')
  return [given.slice(0, at), given.slice(at + 1)]
}
