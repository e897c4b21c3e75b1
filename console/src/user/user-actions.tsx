// The buttons of an administrator.
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { directory, type User } from '../api/directory.ts'
import { useSingleMutation } from '../api/single-mutation.ts'
import { Button } from '../ui/button.tsx'
import { describeError } from '../ui/problem-notice.tsx'
import { showToast } from '../ui/toasts.tsx'
import { AvatarDialog } from './avatar-dialog.tsx'
import { EraseDialog } from './erase-dialog.tsx'
import { PasswordDialog } from './password-dialog.tsx'
import { storeUser } from './user-query.ts'

export function UserActions({ user, onEdit }: { user: User; onEdit: () => void }) {
  const queryClient = useQueryClient()
  const [dialog, setDialog] = useState<'password' | 'avatar' | 'erase'>()
  const close = () => setDialog(undefined)
  const setStatus = useSingleMutation({
    mutationFn: ({ status, version }: Pick<User, 'status' | 'version'>) =>
      directory.patch(user.id, { status }, { version }),
    onSuccess: (changed, { status }) => {
      storeUser(queryClient, changed)
      const before = status === 'BLOCKED' ? 'ACTIVE' : 'BLOCKED'
      showToast(`${changed.username} is ${status === 'BLOCKED' ? 'blocked' : 'active again'}.`, {
        text: 'Undo',
        run: () => setStatus.mutate({ status: before, version: changed.version }),
      })
    },
    onError: (error) => {
      showToast(`Nothing has changed. ${describeError(error).detail}`)
      void queryClient.invalidateQueries({ queryKey: ['user', user.id] })
    },
  })
  const isBlocked = user.status === 'BLOCKED'
  return (
    <div className="flex flex-wrap gap-2">
      <Button look="primary" onPress={onEdit}>
        Edit <kbd className="border-current text-inherit">e</kbd>
      </Button>
      <Button
        isDisabled={setStatus.isPending}
        onPress={() => setStatus.mutate({ status: isBlocked ? 'ACTIVE' : 'BLOCKED', version: user.version })}
      >
        {isBlocked ? 'Unblock' : 'Block'}
      </Button>
      <Button onPress={() => setDialog('password')}>Password…</Button>
      <Button onPress={() => setDialog('avatar')}>Avatar…</Button>
      <Button look="danger" onPress={() => setDialog('erase')}>
        Erase…
      </Button>
      {dialog === 'password' && <PasswordDialog user={user} onClose={close} />}
      {dialog === 'avatar' && <AvatarDialog user={user} onClose={close} />}
      {dialog === 'erase' && <EraseDialog user={user} onClose={close} />}
    </div>
  )
}
