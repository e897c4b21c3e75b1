// The column type of times.
import { customType } from 'drizzle-orm/pg-core'
import { readTimestamp } from './instant.ts'

/** In milliseconds, as in API responses: a cursor made from a response must identify the row exactly. */
export const instant = customType<{ data: Date; driverData: string }>({
  dataType: () => 'timestamp (3) with time zone',
  toDriver: (value) => value.toISOString(),
  fromDriver: readTimestamp,
})
