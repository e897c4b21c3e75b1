// One user: its data, and for administrators what can be done with it.
import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { useState } from 'react'
import { useIsAdmin } from '../api/session.ts'
import { lastList } from '../list/last-list.ts'
import { useSingleKey } from '../shell/shortcuts.ts'
import { Avatar } from '../ui/avatar.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { StatusBadge } from '../ui/status-badge.tsx'
import { EditForm } from './edit-form.tsx'
import { UserActions } from './user-actions.tsx'
import { UserDetails } from './user-details.tsx'
import { userQuery } from './user-query.ts'

export default function UserScreen() {
  const { userId } = useParams({ from: '/users/$userId' })
  // Another user is another screen, without the state of this one.
  return <OneUser key={userId} id={userId} />
}

function OneUser({ id }: { id: string }) {
  const user = useQuery(userQuery(id))
  const isAdmin = useIsAdmin()
  const [isEditing, setIsEditing] = useState(false)
  useSingleKey('e', () => {
    if (isAdmin && user.data) setIsEditing(true)
  })
  return (
    <div className="flex flex-col gap-4 p-4">
      <Link to="/users" search={lastList.get()} className="self-start text-accent underline">
        All users
      </Link>
      {user.error && <ProblemNotice error={user.error} onRetry={() => void user.refetch()} />}
      {user.isPending && <Skeleton />}
      {user.data && (
        <>
          <header className="flex flex-wrap items-center gap-3">
            <Avatar user={user.data} className="size-12" />
            <div className="min-w-0 flex-1">
              <h1 className="break-words">
                <bdi>{user.data.name ?? user.data.username}</bdi>
              </h1>
              <p className="flex flex-wrap gap-x-3">
                <bdi className="break-all text-muted">{user.data.username}</bdi>
                <StatusBadge status={user.data.status} />
              </p>
            </div>
            {isAdmin && !isEditing && <UserActions user={user.data} onEdit={() => setIsEditing(true)} />}
          </header>
          {isEditing ? (
            <EditForm user={user.data} onClose={() => setIsEditing(false)} />
          ) : (
            <UserDetails user={user.data} />
          )}
        </>
      )}
    </div>
  )
}

function Skeleton() {
  return (
    <div aria-hidden="true" className="flex flex-col gap-3">
      <div className="skeleton h-12 max-w-md" />
      <div className="skeleton h-40 max-w-2xl" />
    </div>
  )
}
