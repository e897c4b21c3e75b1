// Edits a user. It saves with If-Match, and shows a conflict instead of overwriting another change.
import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { directory, ProblemError, type User } from '../api/directory.ts'
import { useSingleMutation } from '../api/single-mutation.ts'
import { Button } from '../ui/button.tsx'
import { showToast } from '../ui/toasts.tsx'
import { UnsavedGuard } from '../ui/unsaved-guard.tsx'
import { ConflictDialog } from './conflict-dialog.tsx'
import { type Draft, draftOf, draftValues } from './draft.ts'
import { UserForm } from './user-form.tsx'
import { storeUser } from './user-query.ts'
import { changesBetween, type Values, valuesOf } from './values.ts'

type Attempt = { base: User; values: Values }
/** `saved` is undefined if there was nothing to save. */
type Outcome = { saved: User | undefined } | { theirs: User }

export function EditForm({ user, onClose }: { user: User; onClose: () => void }) {
  const queryClient = useQueryClient()
  // Reloads of the user must not change what the person compares with.
  const [base, setBase] = useState(user)
  const [draft, setDraft] = useState(() => draftOf(valuesOf(user)))
  const [theirs, setTheirs] = useState<User>()
  const isSaved = useRef(false)

  const save = useSingleMutation({
    mutationFn: saveOrLoadTheirs,
    onSuccess: (outcome, { values }) => {
      if ('theirs' in outcome) return setTheirs(outcome.theirs)
      const { saved } = outcome
      if (saved) {
        storeUser(queryClient, saved)
        showToast(`${saved.username} is saved.`)
        // The person may have typed while the save ran.
        if (changesBetween(values, draftValues(draft))) return setBase(saved)
      }
      isSaved.current = true
      onClose()
    },
  })

  return (
    <section className="flex flex-col gap-3">
      <h2>Edit</h2>
      <UserForm
        draft={draft}
        error={save.error}
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

/** @returns the saved user, or the other change if it came first */
async function saveOrLoadTheirs({ base, values }: Attempt): Promise<Outcome> {
  const changes = changesBetween(valuesOf(base), values)
  if (!changes) return { saved: undefined }
  try {
    return { saved: await directory.patch(base.id, changes, { version: base.version }) }
  } catch (error) {
    if (!(error instanceof ProblemError && error.status === 412)) throw error
    return { theirs: await directory.get(base.id) }
  }
}

function isChanged(base: User, draft: Draft): boolean {
  return changesBetween(valuesOf(base), draftValues(draft)) !== undefined
}
