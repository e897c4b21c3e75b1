// Block, unblock and erase for the selected users.
import { useState } from 'react'
import { retryingDirectory, type User } from '../api/directory.ts'
import { Button } from '../ui/button.tsx'
import { BulkDialog, type BulkTask } from './bulk-dialog.tsx'
import { EraseManyDialog } from './erase-many-dialog.tsx'

type Props = { users: User[]; onClear: () => void }

export function BulkActions({ users, onClear }: Props) {
  const [task, setTask] = useState<BulkTask>()
  const [isErasing, setIsErasing] = useState(false)
  const close = () => {
    setTask(undefined)
    onClear()
  }
  return (
    <>
      {users.length > 0 && (
        <section
          aria-label="Selected users"
          className="flex flex-wrap items-center gap-2 border-t border-line bg-chosen px-3 py-1.5"
        >
          <span role="status">
            {users.length === 1 ? '1 user selected' : `${users.length} users selected`}
          </span>
          <Button onPress={() => setTask(statusTask(users, 'BLOCKED'))}>Block</Button>
          <Button onPress={() => setTask(statusTask(users, 'ACTIVE'))}>Unblock</Button>
          <Button look="danger" onPress={() => setIsErasing(true)}>
            Erase…
          </Button>
          <Button look="quiet" onPress={onClear}>
            Clear the selection
          </Button>
        </section>
      )}
      {isErasing && (
        <EraseManyDialog
          count={users.length}
          onClose={() => setIsErasing(false)}
          onConfirm={() => {
            setIsErasing(false)
            setTask(eraseTask(users))
          }}
        />
      )}
      {task && <BulkDialog key={task.title} task={task} onUndo={setTask} onClose={close} />}
    </>
  )
}

function statusTask(users: User[], status: User['status']): BulkTask {
  return {
    title: status === 'BLOCKED' ? 'Block users' : 'Unblock users',
    users,
    work: async (user, signal) =>
      user.status === status ? 'unchanged' : retryingDirectory.patch(user.id, { status }, { signal }),
    undo: (outcomes) => {
      // Keyed by the version, so that the undo does not overwrite a later change.
      const before = new Map(outcomes.map(({ user }) => [user.id, user.status]))
      return {
        title: status === 'BLOCKED' ? 'Undo: unblock users' : 'Undo: block users',
        users: outcomes.flatMap(({ changed }) => changed ?? []),
        work: async ({ id, version, status: now }, signal) =>
          retryingDirectory.patch(id, { status: before.get(id) ?? now }, { signal, version }),
      }
    },
  }
}

function eraseTask(users: User[]): BulkTask {
  return {
    title: 'Erase users',
    users,
    // Only the version that was on the screen is erased.
    work: async ({ id, version }, signal) => {
      await retryingDirectory.erase(id, { signal, version })
      return undefined
    },
  }
}
