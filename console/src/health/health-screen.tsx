// The state of the service and its dependencies, as the server reports it.
import { useQuery } from '@tanstack/react-query'
import { callBackend } from '../api/session.ts'
import { Button } from '../ui/button.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'

const refreshMs = 15_000
const good: readonly unknown[] = ['ready', 'up', true]
const bad: readonly unknown[] = ['not ready', 'down', 'lagging', 'read-only', 'unknown', false]

export default function HealthScreen() {
  const health = useQuery({
    queryKey: ['health'],
    queryFn: ({ signal }) => callBackend('/console/health', { signal }),
    refetchInterval: refreshMs,
  })
  return (
    <div className="flex flex-col gap-4 p-4">
      <div className="flex items-center gap-2">
        <h1 className="flex-1">Health</h1>
        <Button onPress={() => void health.refetch()} isDisabled={health.isFetching}>
          Reload
        </Button>
      </div>
      {health.error && <ProblemNotice error={health.error} onRetry={() => void health.refetch()} />}
      {health.isPending && <div aria-hidden="true" className="skeleton h-40 max-w-xl" />}
      {health.data !== undefined && (
        <table className="max-w-xl">
          <caption className="sr-only">States and numbers of the service</caption>
          <tbody>
            {rowsOf(health.data).map(([name, value]) => (
              <tr key={name}>
                <th
                  scope="row"
                  className="border-b border-line py-1.5 pe-6 text-start font-normal text-muted"
                >
                  {name}
                </th>
                <td className="border-b border-line py-1.5 tabular-nums">
                  <Value value={value} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  )
}

type Leaf = string | number | boolean | null

/** Flattens the report, so that new parts of it are shown without a change here. */
function rowsOf(report: unknown, path: string[] = []): [name: string, value: Leaf][] {
  if (typeof report !== 'object' || report === null) return [[path.join(' › '), report as Leaf]]
  return Object.entries(report).flatMap(([key, value]) => rowsOf(value, [...path, key.replaceAll('_', ' ')]))
}

const number = new Intl.NumberFormat()

function Value({ value }: { value: Leaf }) {
  const text = typeof value === 'number' ? number.format(value) : String(value ?? 'none')
  if (good.includes(value)) return <span className="text-good">● {text}</span>
  if (bad.includes(value)) return <span className="font-medium text-danger">⊘ {text}</span>
  return text
}
