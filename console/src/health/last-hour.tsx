// The requests, errors and durations of the last hour: two plots, and the same figures as a table.
import type { ReactNode } from 'react'
import { TableHead } from '../ui/table-head.tsx'
import type { Minute } from './health-query.ts'

const number = new Intl.NumberFormat()
const duration = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 2 })
const time = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })

const height = 100
const barWidth = 0.8

/** @param props.of the process that counted */
export function LastHour({ of, minutes }: { of: string; minutes: Minute[] }) {
  const sum = (key: 'requests' | 'errors') => minutes.reduce((sum, minute) => sum + minute[key], 0)
  const requestsMax = Math.max(1, ...minutes.map(({ requests }) => requests))
  const p95Max = Math.max(0, ...minutes.map(({ p95_ms }) => p95_ms ?? 0))
  const [from, to] = [minutes[0]?.at, minutes.at(-1)?.at].map((at) => at && time.format(new Date(at)))
  return (
    <section aria-label="The last hour" className="flex flex-col gap-3">
      <h2>The last hour: {of.charAt(0).toLowerCase() + of.slice(1)}</h2>
      <div className="grid gap-x-8 gap-y-4 lg:grid-cols-2">
        <Plot
          title="Requests a minute"
          summary={`${number.format(sum('requests'))} requests, ${number.format(sum('errors'))} of them with an error; at most ${number.format(requestsMax)} in a minute.`}
          from={from}
          to={to}
        >
          {minutes.map(({ at, requests, errors }, index) => (
            <g key={at}>
              <Bar index={index} share={requests / requestsMax} className="text-accent" />
              <Bar index={index} share={errors / requestsMax} className="text-danger" />
            </g>
          ))}
        </Plot>
        <Plot
          title="95th percentile of the durations"
          summary={p95Max === 0 ? 'No requests.' : `At most ${duration.format(p95Max)} ms.`}
          from={from}
          to={to}
        >
          {minutes.map(({ at, p95_ms }, index) => (
            <Bar key={at} index={index} share={(p95_ms ?? 0) / (p95Max || 1)} className="text-good" />
          ))}
        </Plot>
      </div>
      <MinutesTable minutes={minutes.filter(({ requests }) => requests > 0)} />
    </section>
  )
}

type PlotProps = {
  title: string
  summary: string
  from: string | undefined
  to: string | undefined
  children: ReactNode
}

function Plot({ title, summary, from, to, children }: PlotProps) {
  return (
    <figure className="flex flex-col gap-1">
      <figcaption>
        {title} <span className="block text-muted">{summary}</span>
      </figcaption>
      <svg
        aria-hidden="true"
        viewBox={`0 0 60 ${height}`}
        preserveAspectRatio="none"
        className="h-28 w-full border-b border-control rtl:-scale-x-100"
      >
        {children}
      </svg>
      <div aria-hidden="true" className="flex justify-between text-xs text-muted">
        <span>{from}</span>
        <span>{to}</span>
      </div>
    </figure>
  )
}

/** The color is the text's, which forced colors replace. */
function Bar({ index, share, className }: { index: number; share: number; className: string }) {
  if (share === 0) return null
  const barHeight = Math.max(share * height, 1)
  return (
    <rect
      x={index + (1 - barWidth) / 2}
      y={height - barHeight}
      width={barWidth}
      height={barHeight}
      fill="currentColor"
      className={className}
    />
  )
}

function MinutesTable({ minutes }: { minutes: Minute[] }) {
  if (minutes.length === 0) return null
  return (
    <details>
      <summary className="self-start text-accent underline">The figures as a table</summary>
      <div className="overflow-x-auto">
        <table className="mt-2 tabular-nums">
          <caption className="sr-only">The minutes of the last hour with requests</caption>
          <TableHead titles={['Minute', 'Requests', 'Errors', '95th percentile']} />
          <tbody>
            {minutes.toReversed().map(({ at, requests, errors, p95_ms }) => (
              <tr key={at}>
                <th scope="row" className="pe-6 text-start font-normal">
                  {time.format(new Date(at))}
                </th>
                <td className="pe-6">{number.format(requests)}</td>
                <td className="pe-6">{number.format(errors)}</td>
                <td>{p95_ms === null ? 'none' : `${duration.format(p95_ms)} ms`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  )
}
