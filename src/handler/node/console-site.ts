// Where people sign in to the console: at the local issuer, or with the client that the settings name.
import { consoleClientId } from '../../connection/tokens/local-issuer.ts'
import type { Settings } from '../../platform/settings.ts'
import type { ConsoleSite } from '../http/console/console.ts'

/** @param issuer of the accepted tokens @returns undefined if the settings name no client */
export function consoleSite(
  { console, tokens }: Pick<Settings, 'console' | 'tokens'>,
  issuer: string,
): ConsoleSite | undefined {
  if (!console) return undefined
  const { origin, clientId = consoleClientId, clientSecret } = console
  const isCognito = tokens.kind === 'cognito'
  return { origin, isLocal: tokens.kind === 'local', provider: { issuer, clientId, clientSecret, isCognito } }
}
