// Runs the API's tests against the built function behind a REST API.
import { useEntry } from '../../support/service.ts'

useEntry('rest')
await import('../http/users.test.ts')
await import('../http/list.test.ts')
await import('../http/access.test.ts')
await import('../http/conditional-requests.test.ts')
await import('../http/cors.test.ts')
