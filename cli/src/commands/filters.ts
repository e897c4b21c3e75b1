// The options that select users, for lists and exports.
import { type Command, Option } from 'commander'
import type { UserQuery } from '../../../client/src/index.ts'

export type FilterOptions = {
  search?: string
  status?: UserQuery['status']
  username?: string
  contactType?: UserQuery['contact_type']
  contact?: string
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
    .option('--created-after <instant>', 'such as 2026-01-31T12:00Z')
    .option('--created-before <instant>')
    .option('--updated-after <instant>')
    .option('--updated-before <instant>')
}

export function readFilters(options: FilterOptions): UserQuery {
  const { search, status, username, contact } = options
  const filters = {
    search,
    status,
    username,
    contact,
    contact_type: options.contactType,
    created_after: options.createdAfter,
    created_before: options.createdBefore,
    updated_after: options.updatedAfter,
    updated_before: options.updatedBefore,
  }
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined)) as UserQuery
}
