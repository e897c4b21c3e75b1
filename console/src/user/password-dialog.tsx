// Sets or removes a user's password.
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { directory, type User } from '../api/directory.ts'
import { useSingleMutation } from '../api/single-mutation.ts'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogButtons, UnsavedInput } from '../ui/dialog.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { TextField } from '../ui/text-field.tsx'
import { showToast } from '../ui/toasts.tsx'
import { fieldErrors } from './field-errors.ts'
import { storeUser } from './user-query.ts'

export function PasswordDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const queryClient = useQueryClient()
  const [password, setPassword] = useState('')
  const save = useSingleMutation({
    mutationFn: (next: string | null) =>
      directory.patch(user.id, { password: next }, { version: user.version }),
    onSuccess: (changed, next) => {
      storeUser(queryClient, changed)
      showToast(next === null ? 'The password is removed.' : 'The password is set.')
      onClose()
    },
    onError: () => queryClient.invalidateQueries({ queryKey: ['user', user.id] }),
  })
  const error = fieldErrors(save.error).get('/password')
  return (
    <Dialog title={`Password of ${user.username}`} onClose={onClose}>
      <form
        noValidate
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault()
          save.mutate(password)
        }}
      >
        {/* Password managers store the password under this name. */}
        <input hidden readOnly type="text" autoComplete="username" value={user.username} />
        {save.error && error === undefined && <ProblemNotice error={save.error} />}
        <TextField
          label="New password"
          hint="8 to 128 characters"
          type="password"
          autoComplete="new-password"
          autoFocus
          value={password}
          error={error}
          onChange={setPassword}
        />
        <p className="text-muted">Without a password, the user cannot sign in with one until it is set.</p>
        <UnsavedInput isUnsaved={password !== '' && !save.isPending} />
        <DialogButtons>
          <Button look="danger" isDisabled={save.isPending} onPress={() => save.mutate(null)}>
            Remove the password
          </Button>
          <Button onPress={onClose}>Cancel</Button>
          <Button look="primary" type="submit" isDisabled={save.isPending || password === ''}>
            Set the password
          </Button>
        </DialogButtons>
      </form>
    </Dialog>
  )
}
