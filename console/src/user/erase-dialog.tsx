// Erases a user after the username was typed.
import { useQueryClient } from '@tanstack/react-query'
import { useRouter } from '@tanstack/react-router'
import { useState } from 'react'
import { directory, type User } from '../api/directory.ts'
import { useSingleMutation } from '../api/single-mutation.ts'
import { lastList } from '../list/last-list.ts'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogButtons, UnsavedInput } from '../ui/dialog.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { TextField } from '../ui/text-field.tsx'
import { showToast } from '../ui/toasts.tsx'
import { removeUser } from './user-query.ts'

export function EraseDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const queryClient = useQueryClient()
  const router = useRouter()
  const [input, setInput] = useState('')
  const isConfirmed = input.trim() === user.username
  const erase = useSingleMutation({
    mutationFn: () => directory.erase(user.id, { version: user.version }),
    onSuccess: async () => {
      // The person may have left while it was erased.
      if (router.matchRoute({ to: '/users/$userId', params: { userId: user.id } }))
        await router.navigate({ to: '/users', search: lastList.get() })
      removeUser(queryClient, user.id)
      showToast(`${user.username} is erased.`)
    },
    onError: () => queryClient.invalidateQueries({ queryKey: ['user', user.id] }),
  })
  return (
    <Dialog title={`Erase ${user.username}`} onClose={onClose}>
      <form
        noValidate
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault()
          if (isConfirmed) erase.mutate()
        }}
      >
        {erase.error && <ProblemNotice error={erase.error} />}
        <p>The user's data, contacts and avatar are erased. This cannot be undone.</p>
        <TextField
          label="To confirm, type the username"
          autoComplete="off"
          autoFocus
          value={input}
          onChange={setInput}
        />
        <UnsavedInput isUnsaved={input !== '' && !erase.isPending} />
        <DialogButtons>
          <Button onPress={onClose}>Cancel</Button>
          <Button look="danger" type="submit" isDisabled={!isConfirmed || erase.isPending}>
            Erase
          </Button>
        </DialogButtons>
      </form>
    </Dialog>
  )
}
