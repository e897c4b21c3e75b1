// The options that select users, for lists and exports.
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { UserQuery } from '../../../client/src/index.ts'
import { splitPair } from './user-fields.ts'

export type FilterOptions = {
  search?: string
  status?: UserQuery['status']
  username?: string
  contactType?: UserQuery['contact_type']
  contact?: string
  externalId?: string
  ids?: string[]
  attribute?: Record<string, string>
  createdAfter?: string
  createdBefore?: string
  updatedAfter?: string
  updatedBefore?: string
}

export function addFilters(command: Command): Command {
  return command
    .option('--search <words>', 'every word must appear in the username, the name or a contact')
    .addOption(new Option('--status <status>').choices(['ACTIVE', 'BLOCKED']))
    .option('--username <name>')
    .addOption(new Option('--contact-type <type>').choices(['PHONE', 'WORK', 'WHATSAPP', 'EMAIL']))
    .option('--contact <value>', 'the exact value of a contact')
    .option('--external-id <id>', 'the exact id in the system that the user came from')
    .option('--ids <ids>', 'up to 100, separated by commas or repeated', collectIds)
    .option('--attribute <key=value>', 'the exact value; repeat it for several', collectAttribute)
    .option('--created-after <instant>', 'such as 2026-01-31T12:00Z')
    .option('--created-before <instant>')
    .option('--updated-after <instant>')
    .option('--updated-before <instant>')
}

/** @returns the parameters by their names in the API, such as `attribute.department` */
export function readFilters(options: FilterOptions): Record<string, string> {
  const { search, status, username, contact, ids, attribute = {} } = options
  const filters: Record<string, string | undefined> = {
    search,
    status,
    username,
    contact,
    external_id: options.externalId,
    ids: ids?.join(','),
    contact_type: options.contactType,
    created_after: options.createdAfter,
    created_before: options.createdBefore,
    updated_after: options.updatedAfter,
    updated_before: options.updatedBefore,
  }
  const given = Object.entries(filters).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return { ...Object.fromEntries(given), ...attribute }
}

/** The client names attributes apart from the other parameters. */
export function toQuery(filters: Record<string, string>): UserQuery {
  const isAttribute = ([name]: [string, string]) => name.startsWith(attributePrefix)
  const entries = Object.entries(filters)
  const attribute = Object.fromEntries(entries.filter(isAttribute))
  const others = Object.fromEntries(entries.filter((entry) => !isAttribute(entry))) as UserQuery
  return Object.keys(attribute).length > 0 ? { ...others, attribute } : others
}

const attributePrefix = 'attribute.'

function collectIds(given: string, earlier: string[] = []): string[] {
  return [...earlier, given]
}

function collectAttribute(given: string, earlier: Record<string, string> = {}): Record<string, string> {
  const [key, value] = splitPair(given)
  if (value === '') throw new InvalidArgumentError('It must have a value.')
  return { ...earlier, [attributePrefix + key]: value }
}
