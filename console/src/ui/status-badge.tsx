import type { User } from '../api/directory.ts'

export function StatusBadge({ status }: { status: User['status'] }) {
  const isBlocked = status === 'BLOCKED'
  return (
    <span className={isBlocked ? 'font-medium text-danger' : 'text-good'}>
      <span aria-hidden="true">{isBlocked ? '⊘' : '●'} </span>
      {statusText[status]}
    </span>
  )
}

export const statusText: Record<User['status'], string> = { ACTIVE: 'Active', BLOCKED: 'Blocked' }
