// Edits a user. It saves with If-Match, and shows a conflict instead of overwriting another change.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { directory, ProblemError, type User } from '../api/directory.ts'
import { Button } from '../ui/button.tsx'
import { showToast } from '../ui/toasts.tsx'
import { ConflictDialog } from './conflict-dialog.tsx'
import { type Draft, draftOf, draftValues } from './draft.ts'
import { UnsavedGuard } from './unsaved-guard.tsx'
import { UserForm } from './user-form.tsx'
import { storeUser } from './user-query.ts'
import { changesBetween, type Values, valuesOf } from './values.ts'

type Attempt = { base: User; values: Values }

export function EditForm({ user, onClose }: { user: User; onClose: () => void }) {
  const queryClient = useQueryClient()
  // Reloads of the user must not change what the person compares with.
  const [base, setBase] = useState(user)
  const [draft, setDraft] = useState(() => draftOf(valuesOf(user)))
  const [theirs, setTheirs] = useState<User>()
  const isSaved = useRef(false)

  const save = useMutation({
    mutationFn: async ({ base, values }: Attempt) => {
      const changes = changesBetween(valuesOf(base), values)
      if (!changes) return base
      return directory.patch(base.id, changes, { version: base.version })
    },
    onSuccess: (saved) => {
      isSaved.current = true
      storeUser(queryClient, saved)
      showToast(`${saved.username} is saved.`)
      onClose()
    },
    onError: async (error, { base }) => {
      if (error instanceof ProblemError && error.status === 412) setTheirs(await directory.get(base.id))
    },
  })

  const isConflict = save.error instanceof ProblemError && save.error.status === 412
  return (
    <section className="flex flex-col gap-3">
      <h2>Edit</h2>
      <UserForm
        draft={draft}
        error={save.error}
        hidesNotice={isConflict}
        onChange={setDraft}
        onSave={() => save.mutate({ base, values: draftValues(draft) })}
      >
        {() => (
          <div className="flex gap-2">
            <Button look="primary" type="submit" isDisabled={save.isPending}>
              {save.isPending ? 'Saving…' : 'Save'}
            </Button>
            <Button onPress={onClose}>Cancel</Button>
          </div>
        )}
      </UserForm>
      <UnsavedGuard isUnsaved={() => !isSaved.current && isChanged(base, draft)} />
      {theirs && (
        <ConflictDialog
          base={base}
          theirs={theirs}
          mine={draftValues(draft)}
          onClose={() => setTheirs(undefined)}
          onResolve={(values) => {
            setBase(theirs)
            setDraft(draftOf(values))
            setTheirs(undefined)
            save.mutate({ base: theirs, values })
          }}
        />
      )}
    </section>
  )
}

function isChanged(base: User, draft: Draft): boolean {
  return changesBetween(valuesOf(base), draftValues(draft)) !== undefined
}
