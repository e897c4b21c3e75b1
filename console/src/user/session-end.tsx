// When the last session of a user was refused, and by how much it outlived the block or the new password.
import { queryOptions, useQuery } from '@tanstack/react-query'
import { callBackend } from '../api/session.ts'
import { Time } from '../ui/time.tsx'

type SessionEnd = { refused_at: string; outlived_ms: number }

const refreshMs = 3_000
const seconds = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 })

/** The backend does not count these requests as use of the person's session. */
function sessionEndQuery(userId: string) {
  return queryOptions({
    queryKey: ['session-end', userId],
    queryFn: async ({ signal }) => {
      const answer = await callBackend(`/console/session-end/${userId}`, { signal })
      return (answer as { session_end: SessionEnd | null }).session_end
    },
    refetchInterval: refreshMs,
  })
}

/** Shows nothing while no server process that answers has refused a session. */
export function LastSessionEnd({ userId }: { userId: string }) {
  const { data } = useQuery(sessionEndQuery(userId))
  if (!data) return null
  return (
    <div className="contents">
      <dt className="text-muted">Session ended</dt>
      <dd role="status">
        <Time value={data.refused_at} />.{' '}
        {data.outlived_ms === 0
          ? 'It was not accepted again after the block or the new password.'
          : `It was last accepted ${seconds.format(data.outlived_ms / 1_000)} s after the block or the new password.`}
      </dd>
    </div>
  )
}
