// The connections that services work with. The entries open them and hand them in.
import type { Connections } from '../connection/open.ts'
import type { CallerLookup } from './identity/callers.ts'

export type ServiceContext = Pick<
  Connections,
  'db' | 'cache' | 'avatars' | 'avatarBaseUrl' | 'outbox' | 'attempts' | 'logger'
>

/** A change looks its caller up again before it is committed (docs/adr/0001). */
export type WriteContext = ServiceContext & { callers: CallerLookup }
