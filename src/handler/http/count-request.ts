// Which requests count for the figures of the last hour.
import type { RequestCounts } from '../../platform/request-counts.ts'
import type { RequestLog } from './endpoint.ts'

/** Counts requests of the API alone: probes and pages have no caller. */
export function countRequest(
  counts: RequestCounts,
  { caller, cache }: RequestLog,
  { status, durationMs }: { status: number; durationMs: number },
): void {
  if (caller !== undefined || status >= 400) counts.add(status, durationMs, cache)
}
