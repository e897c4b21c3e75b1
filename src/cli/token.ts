// npm run token -- --group admins: issues a token of the local issuer for the server of this checkout.
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { openLocalIssuer } from '../connection/tokens/local-issuer.ts'
import { readSettings } from '../platform/settings.ts'
import { groupOf, scopeOf } from '../services/identity/access.ts'
import { runCommand } from './command.ts'

const usage = `Issues a token of the local issuer.

  npm run token -- --group admins                  an administrator
  npm run token -- --group readers                 a reader
  npm run token -- --username ada.lovelace         a user, who may read and change their own record
  npm run token -- --scope users/write             a machine client; users/read may only read
  npm run token -- --group admins --hours 1        valid for an hour instead of a day
`

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      group: { type: 'string', multiple: true },
      username: { type: 'string' },
      scope: { type: 'string' },
      hours: { type: 'string', default: '24' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help || (!values.group && !values.username && !values.scope)) {
    process.stdout.write(usage)
    return
  }
  if (values.scope && (values.group || values.username))
    throw new Error('A scope is for machine clients, which have neither a username nor groups.')
  // A token with any other value would have no rights, and the cause would be hard to find.
  rejectUnknown('--group', values.group ?? [], Object.values(groupOf))
  rejectUnknown('--scope', values.scope?.split(' ') ?? [], Object.values(scopeOf))
  const hours = Number(values.hours)
  if (!(hours > 0 && hours <= 8_760)) throw new Error('--hours must be more than 0 and at most 8760')
  const settings = readSettings(process.env, resolve('.data'))
  if (settings.tokens.kind !== 'local')
    throw new Error('The local issuer is not in use. Get a token from the configured user pool or issuer.')
  const issuer = await openLocalIssuer(settings.dataDirectory, settings.port)
  const lifetimeSeconds = Math.round(hours * 3_600)
  const token = values.scope
    ? await issuer.token({ scope: values.scope, lifetimeSeconds })
    : await issuer.token({
        username: values.username ?? values.group?.[0]?.replace(/s$/, '') ?? 'developer',
        ...(values.group && { groups: values.group }),
        lifetimeSeconds,
      })
  process.stdout.write(`${token}\n`)
})

function rejectUnknown(option: string, given: string[], known: string[]): void {
  const unknown = given.filter((name) => !known.includes(name))
  if (unknown.length > 0)
    throw new Error(
      `${option} is ${unknown.map((name) => JSON.stringify(name)).join(', ')}, which is unknown. Use ${known.join(' or ')}.`,
    )
}
