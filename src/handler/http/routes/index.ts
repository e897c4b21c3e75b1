// Every endpoint of the protected API.
import type { Endpoint } from '../endpoint.ts'
import { avatarEndpoints } from './avatars.ts'
import { bulkEndpoints } from './bulk.ts'
import { exportEndpoints } from './exports.ts'
import { importEndpoints } from './imports.ts'
import { userEndpoints } from './users.ts'

export const endpoints: Endpoint[] = [
  ...userEndpoints,
  ...avatarEndpoints,
  ...importEndpoints,
  ...exportEndpoints,
  ...bulkEndpoints,
]
