// The API's own tests against the built function, behind a REST API.
import { useEntry } from './support/service.ts'

useEntry('rest')
await import('./users.test.ts')
await import('./list.test.ts')
await import('./access.test.ts')
await import('./conditional-requests.test.ts')
await import('./cors.test.ts')
