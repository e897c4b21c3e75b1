// The API's own tests against the built function, behind an HTTP API.
import { useEntry } from './support/service.ts'

useEntry('http')
await import('./users.test.ts')
await import('./list.test.ts')
await import('./access.test.ts')
await import('./conditional-requests.test.ts')
