// Creates a user.
import { useQueryClient } from '@tanstack/react-query'
import { useRouter } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { directory } from '../api/directory.ts'
import { useIsAdmin } from '../api/session.ts'
import { useSingleMutation } from '../api/single-mutation.ts'
import { reloadList } from '../list/users-query.ts'
import { Button } from '../ui/button.tsx'
import { TextField } from '../ui/text-field.tsx'
import { showToast } from '../ui/toasts.tsx'
import { UnsavedGuard } from '../ui/unsaved-guard.tsx'
import { type Draft, draftValues, emptyDraft } from './draft.ts'
import { UserForm } from './user-form.tsx'
import { storeUser } from './user-query.ts'

type Input = { draft: Draft; password: string }

export default function CreateScreen() {
  const isAdmin = useIsAdmin()
  return (
    <div className="flex flex-col gap-4 p-4">
      <h1>Create a user</h1>
      {isAdmin ? <CreateForm /> : <p>Only administrators can create users.</p>}
    </div>
  )
}

function CreateForm() {
  const queryClient = useQueryClient()
  const router = useRouter()
  const [draft, setDraft] = useState(emptyDraft)
  const [password, setPassword] = useState('')
  const isSaved = useRef(false)
  const create = useSingleMutation({
    mutationFn: ({ draft, password }: Input) =>
      directory.create({ ...draftValues(draft), password: password === '' ? null : password }),
    onSuccess: async (user) => {
      isSaved.current = true
      storeUser(queryClient, user)
      showToast(`${user.username} is created.`)
      // The person may have left while it was created.
      if (router.matchRoute({ to: '/users/new' }))
        await router.navigate({ to: '/users/$userId', params: { userId: user.id } })
      await reloadList(queryClient)
    },
  })
  return (
    <UserForm
      draft={draft}
      error={create.error}
      onChange={setDraft}
      onSave={() => create.mutate({ draft, password })}
    >
      {(errors) => (
        <>
          <TextField
            label="Password"
            hint="8 to 128 characters. Without one, the user cannot sign in with a password until it is set."
            type="password"
            autoComplete="new-password"
            value={password}
            error={errors.get('/password')}
            onChange={setPassword}
          />
          <div className="flex gap-2">
            <Button look="primary" type="submit" isDisabled={create.isPending}>
              {create.isPending ? 'Creating…' : 'Create'}
            </Button>
            <Button onPress={() => void router.navigate({ to: '/users' })}>Cancel</Button>
          </div>
          <UnsavedGuard isUnsaved={() => !isSaved.current && (draft !== emptyDraft || password !== '')} />
        </>
      )}
    </UserForm>
  )
}
