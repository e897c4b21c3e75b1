// The state of the service and its dependencies, and the requests of the last hour.
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Button } from '../ui/button.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { Time } from '../ui/time.tsx'
import { type Health, healthQuery, type Minute } from './health-query.ts'
import { LastHour } from './last-hour.tsx'

const number = new Intl.NumberFormat()
const percent = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 1 })

export default function HealthScreen() {
  const health = useQuery(healthQuery)
  return (
    <div className="flex flex-col gap-4 p-4">
      <div className="flex items-center gap-2">
        <h1 className="flex-1">Health</h1>
        <Button onPress={() => void health.refetch()} isDisabled={health.isFetching}>
          Reload
        </Button>
      </div>
      {health.error && <ProblemNotice error={health.error} onRetry={() => void health.refetch()} />}
      {health.isPending && <div aria-hidden="true" className="skeleton h-40" />}
      {health.data && <Report health={health.data} />}
    </div>
  )
}

function Report({ health: { ready, jobs, revalidation, process } }: { health: Health }) {
  const { dependencies, outbox } = ready
  return (
    <>
      <div className="grid gap-x-8 gap-y-4 sm:grid-cols-2 xl:grid-cols-4">
        <Facts
          title="Service"
          rows={{
            Requests: <StateMark state={ready.status} />,
            Database: <StateMark state={dependencies.database} />,
            Cache: <StateMark state={dependencies.cache} />,
            Avatars: <StateMark state={dependencies.avatars} />,
          }}
        />
        <Facts
          title="Work in the background"
          rows={{
            'Events to deliver': outbox ? <Outbox outbox={outbox} /> : 'Nothing to deliver to',
            'Jobs running': jobs ? number.format(jobs.running) : <Unknown />,
            'Jobs waiting': jobs ? number.format(jobs.waiting) : <Unknown />,
            'Jobs failed, last day': jobs ? <FailedJobs count={jobs.failed_last_day} /> : <Unknown />,
          }}
        />
        <Facts
          title="Last revalidation of the cache"
          rows={
            revalidation
              ? {
                  Finished: <Time value={revalidation.finished_at} />,
                  Compared: number.format(revalidation.scanned),
                  Repaired: number.format(revalidation.repaired + revalidation.dropped),
                  'Avatars removed': number.format(revalidation.orphans),
                }
              : { Finished: jobs ? 'Not yet' : <Unknown /> }
          }
        />
        <Facts
          title={processName(process)}
          rows={{
            Started: <Time value={process.started_at} />,
            'Cache hits, last hour': hitShare(process.minutes),
            'Sessions ended by a block': number.format(process.sessions_ended),
          }}
        />
      </div>
      <LastHour of={processName(process)} minutes={process.minutes} />
    </>
  )
}

function Facts({ title, rows }: { title: string; rows: Record<string, ReactNode> }) {
  return (
    <section aria-label={title} className="flex flex-col gap-1">
      <h2>{title}</h2>
      <dl>
        {Object.entries(rows).map(([name, value]) => (
          <div key={name} className="flex flex-wrap justify-between gap-x-4 border-b border-line py-1">
            <dt className="text-muted">{name}</dt>
            <dd className="tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

const states: Record<string, { text: string; isGood: boolean }> = {
  ready: { text: 'Served', isGood: true },
  'not ready': { text: 'Not served', isGood: false },
  up: { text: 'Up', isGood: true },
  'read-only': { text: 'Read only', isGood: false },
  down: { text: 'Down', isGood: false },
  lagging: { text: 'Lagging', isGood: false },
}

function StateMark({ state }: { state: string }) {
  const { text, isGood } = states[state] ?? { text: 'Unknown', isGood: false }
  return isGood ? (
    <span className="text-good">
      <span aria-hidden="true">● </span>
      {text}
    </span>
  ) : (
    <span className="font-medium text-danger">
      <span aria-hidden="true">⊘ </span>
      {text}
    </span>
  )
}

function Outbox({
  outbox: { state, pending, oldest_seconds },
}: {
  outbox: NonNullable<Health['ready']['outbox']>
}) {
  return (
    <>
      <StateMark state={state} />
      {pending !== undefined && `, ${number.format(pending)}`}
      {!!oldest_seconds && `, the oldest for ${number.format(oldest_seconds)} s`}
    </>
  )
}

function FailedJobs({ count }: { count: number }) {
  return count === 0 ? '0' : <span className="font-medium text-danger">{number.format(count)}</span>
}

function Unknown() {
  return <span className="text-muted">Unknown: the database does not answer</span>
}

function processName({ workers }: Health['process']): string {
  return workers === 1 ? 'This server process' : `One of the server's ${number.format(workers)} processes`
}

function hitShare(minutes: Minute[]): string {
  const sum = (key: 'hits' | 'misses' | 'bypasses') => minutes.reduce((sum, minute) => sum + minute[key], 0)
  const [hits, others] = [sum('hits'), sum('misses') + sum('bypasses')]
  if (hits + others === 0) return 'No reads'
  return `${percent.format(hits / (hits + others))} of ${number.format(hits + others)}`
}
