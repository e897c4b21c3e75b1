// The columns of the list.
import type { ReactNode } from 'react'
import type { User } from '../api/directory.ts'
import { Avatar } from '../ui/avatar.tsx'
import { StatusBadge } from '../ui/status-badge.tsx'
import { Time } from '../ui/time.tsx'

type Column = {
  title: string
  isSortable: boolean
  width: number
  cell: (user: User) => ReactNode
}

export const columnIds = [
  'username',
  'name',
  'status',
  'contacts',
  'external_id',
  'attributes',
  'created_at',
  'updated_at',
] as const
export type ColumnId = (typeof columnIds)[number]

export const defaultColumns: readonly ColumnId[] = ['username', 'name', 'status', 'contacts', 'created_at']

export const columns: Record<ColumnId, Column> = {
  username: {
    title: 'Username',
    isSortable: true,
    width: 190,
    cell: (user) => (
      <span className="flex min-w-0 items-center gap-2">
        <Avatar user={user} />
        <a href={`/console/users/${user.id}`} tabIndex={-1} className="cursor-default truncate font-medium">
          <bdi>{user.username}</bdi>
        </a>
      </span>
    ),
  },
  name: { title: 'Name', isSortable: true, width: 150, cell: ({ name }) => <bdi>{name}</bdi> },
  status: {
    title: 'Status',
    isSortable: false,
    width: 100,
    cell: ({ status }) => <StatusBadge status={status} />,
  },
  contacts: { title: 'Contacts', isSortable: false, width: 190, cell: contactsCell },
  external_id: {
    title: 'External id',
    isSortable: false,
    width: 150,
    cell: ({ external_id }) => <bdi>{external_id}</bdi>,
  },
  attributes: { title: 'Attributes', isSortable: false, width: 200, cell: attributesCell },
  created_at: {
    title: 'Created',
    isSortable: true,
    width: 160,
    cell: ({ created_at }) => <Time value={created_at} />,
  },
  updated_at: {
    title: 'Changed',
    isSortable: true,
    width: 160,
    cell: ({ updated_at }) => <Time value={updated_at} />,
  },
}

function contactsCell({ contacts: [first, ...others] }: User): ReactNode {
  if (!first) return null
  return (
    <>
      <bdi>{first.value}</bdi>
      {others.length > 0 && <span className="text-muted"> +{others.length}</span>}
    </>
  )
}

function attributesCell({ attributes }: User): ReactNode {
  const shown = Object.entries(attributes).slice(0, 5)
  return <bdi>{shown.map(([key, value]) => `${key} ${value}`).join(' · ')}</bdi>
}
