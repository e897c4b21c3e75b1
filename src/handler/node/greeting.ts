// The text that a started server prints for the person who started it.
import type { Settings } from '../../platform/settings.ts'

/**
 * @param parts.embeddedDatabase its URL, if there is one
 * @param parts.token an administrator's of the local issuer
 */
export function greeting(
  settings: Settings,
  { embeddedDatabase, token }: { embeddedDatabase?: string | undefined; token?: string | undefined } = {},
): string {
  const url = `http://localhost:${settings.port}`
  const lines = [
    '',
    `  User directory   ${url}`,
    ...(settings.console ? [`  Console          ${settings.console.origin}/console/`] : []),
    `  Documentation    ${url}/docs`,
    `  Database         ${embeddedDatabase === undefined ? 'from DATABASE_URL' : `embedded PostgreSQL, ${embeddedDatabase.replace(/:[^:@]*@/, '@')}`}`,
    `  Cache            ${settings.redisUrl ? 'from REDIS_URL' : 'in this process'}`,
    `  Avatars          ${settings.avatarBucket ? `bucket ${settings.avatarBucket}` : 'in .data/avatars'}`,
    ...(settings.workers > 1 ? [`  Workers          ${settings.workers}`] : []),
  ]
  if (token)
    lines.push(
      '',
      `  An administrator's token, valid for a day (for others: ${settings.port === 3000 ? '' : `PORT=${settings.port} `}npm run token):`,
      '',
      `TOKEN=${token}`,
      '',
      '  and a request to try:',
      '',
      `curl -s -H "Authorization: Bearer $TOKEN" '${url}/user?limit=3'`,
    )
  return `${lines.join('\n')}\n\n`
}
