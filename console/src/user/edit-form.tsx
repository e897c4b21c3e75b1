// Edits a user. It saves with If-Match, and shows a conflict instead of overwriting another change.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { directory, ProblemError, type User } from '../api/directory.ts'
import { Button } from '../ui/button.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { showToast } from '../ui/toasts.tsx'
import { ConflictDialog } from './conflict-dialog.tsx'
import { type Draft, draftFaults, draftOf, draftValues } from './draft.ts'
import { fieldErrors, noErrors, useFocusOnError } from './field-errors.ts'
import { UnsavedGuard } from './unsaved-guard.tsx'
import { UserFields } from './user-fields.tsx'
import { storeUser } from './user-query.ts'
import { changesBetween, type Values, valuesOf } from './values.ts'

type Attempt = { base: User; values: Values }

export function EditForm({ user, onClose }: { user: User; onClose: () => void }) {
  const queryClient = useQueryClient()
  const form = useRef<HTMLFormElement>(null)
  // Reloads of the user must not change what the person compares with.
  const [base, setBase] = useState(user)
  const [draft, setDraft] = useState(() => draftOf(valuesOf(user)))
  const [faults, setFaults] = useState(noErrors)
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

  const submit = () => {
    const found = draftFaults(draft)
    setFaults(found)
    if (found.size === 0) save.mutate({ base, values: draftValues(draft) })
  }
  const isConflict = save.error instanceof ProblemError && save.error.status === 412
  const errors = faults.size > 0 ? faults : fieldErrors(save.error)
  useFocusOnError(form, faults.size > 0 ? faults : save.error)
  return (
    <form
      ref={form}
      noValidate
      className="flex max-w-2xl flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
    >
      <h2>Edit</h2>
      {save.error && !isConflict && (
        <ProblemNotice error={save.error} onRetry={errors.size > 0 ? undefined : submit} />
      )}
      <UserFields draft={draft} errors={errors} onChange={setDraft} />
      <div className="flex gap-2">
        <Button look="primary" type="submit" isDisabled={save.isPending}>
          {save.isPending ? 'Saving…' : 'Save'}
        </Button>
        <Button onPress={onClose}>Cancel</Button>
      </div>
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
    </form>
  )
}

function isChanged(base: User, draft: Draft): boolean {
  return changesBetween(valuesOf(base), draftValues(draft)) !== undefined
}
