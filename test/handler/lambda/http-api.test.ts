// Runs the API's tests against the built function behind an HTTP API.
import { useEntry } from '../../support/service.ts'

useEntry('http')
await import('../http/users.test.ts')
await import('../http/list.test.ts')
await import('../http/access.test.ts')
await import('../http/conditional-requests.test.ts')
