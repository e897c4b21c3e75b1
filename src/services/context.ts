// The connections that services use. The entries open them and pass them as `ctx`.
import type { Connections } from '../connection/open.ts'
import type { CallerLookup } from './identity/callers.ts'

export type ServiceContext = Pick<
  Connections,
  'db' | 'cache' | 'avatars' | 'avatarBaseUrl' | 'jobFiles' | 'outbox' | 'attempts' | 'logger'
>

/**
 * The context of a write, which looks its caller up again before the commit:
 * docs/adr/0001-check-the-caller-in-the-committing-transaction.md.
 */
export type WriteContext = ServiceContext & { callers: CallerLookup }
