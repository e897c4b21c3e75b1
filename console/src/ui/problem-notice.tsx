// Says that a call failed, why, and offers to try again.
import { ConnectionError, type Fault, ProblemError } from '../api/directory.ts'
import { Button } from './button.tsx'

export function ProblemNotice({ error, onRetry }: { error: unknown; onRetry?: (() => void) | undefined }) {
  const { title, detail, requestId } = describeError(error)
  const faults = error instanceof ProblemError ? error.errors : []
  return (
    <div role="alert" className="flex flex-wrap items-center gap-3 rounded-md border border-danger p-3">
      <div className="min-w-0 flex-1">
        <p className="font-medium text-danger">{title}</p>
        {faults.length === 0 ? (
          <p>{detail}</p>
        ) : (
          <ul>
            {faults.map((fault) => (
              <li key={`${placeOf(fault)} ${fault.message}`}>
                <span className="font-medium">{placeOf(fault)}</span> {fault.message}
              </li>
            ))}
          </ul>
        )}
        {requestId !== undefined && <p className="text-xs text-muted">Request {requestId}</p>}
      </div>
      {onRetry && <Button onPress={onRetry}>Try again</Button>}
    </div>
  )
}

/** @returns the field or parameter in words, such as `contacts 2 value` */
function placeOf({ pointer, parameter, header }: Fault): string {
  return (
    pointer
      ?.slice(1)
      .replaceAll('/', ' ')
      .replace(/ (\d+)( |$)/, (_, index, end) => ` ${Number(index) + 1}${end}`) ??
    parameter ??
    header ??
    ''
  )
}

export function describeError(error: unknown): { title: string; detail: string; requestId?: string } {
  if (error instanceof ProblemError) {
    const { title, detail, requestId } = error
    return { title, detail, ...(requestId !== undefined && { requestId }) }
  }
  if (error instanceof ConnectionError)
    return error.isTimeout
      ? { title: 'No answer', detail: 'The server did not answer in time. Try again in a moment.' }
      : { title: 'No connection', detail: 'The server cannot be reached. Check your connection.' }
  return { title: 'The console failed', detail: error instanceof Error ? error.message : String(error) }
}
