// Runs the jobs of a service, as the Node server does.
import { runJobs } from '../../src/services/jobs/run.ts'
import { atEnd } from './cleanup.ts'
import type { Service } from './service.ts'

export function startJobRunner({ connections }: Service): void {
  const stop = new AbortController()
  const stopped = runJobs(connections, stop.signal)
  atEnd(() => {
    stop.abort()
    return stopped
  })
}
