// The users that an import created, page by page.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { StatusBadge } from '../ui/status-badge.tsx'
import { TableHead } from '../ui/table-head.tsx'
import { createdUsersQuery } from './jobs.ts'
import { type Cursors, PageButtons } from './page-buttons.tsx'

export function CreatedUsers({ id }: { id: string }) {
  const [cursors, setCursors] = useState<Cursors>([undefined])
  const users = useQuery(createdUsersQuery(id, cursors.at(-1)))
  if (users.error) return <ProblemNotice error={users.error} onRetry={() => void users.refetch()} />
  if (users.isPending) return <div aria-hidden="true" className="skeleton h-20 max-w-xl" />
  const { items, next_cursor: next } = users.data
  return (
    <section aria-label="Created users" className="flex flex-col gap-2">
      {items.length === 0 ? (
        <p>The users of this page were erased since.</p>
      ) : (
        <div className="overflow-x-auto">
          <table>
            <caption className="pb-1 text-start font-semibold">Created users</caption>
            <TableHead titles={['Username', 'Name', 'Status']} />
            <tbody>
              {items.map(({ id, username, name, status }) => (
                <tr key={id}>
                  <td className="pe-6">
                    <Link to="/users/$userId" params={{ userId: id }} className="text-accent underline">
                      {username}
                    </Link>
                  </td>
                  <td className="pe-6">{name}</td>
                  <td>
                    <StatusBadge status={status} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <PageButtons
        label="Pages of created users"
        cursors={cursors}
        next={next}
        isLoading={users.isPlaceholderData}
        onChange={setCursors}
      />
    </section>
  )
}
