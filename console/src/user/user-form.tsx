// The form of a user's draft. It checks the draft, and shows the faults of the check and of the API at their fields.
import { type ReactNode, useRef, useState } from 'react'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { type Draft, draftFaults } from './draft.ts'
import { type FieldErrors, fieldErrors, noErrors, useFocusOnError } from './field-errors.ts'
import { UserFields } from './user-fields.tsx'

type Props = {
  draft: Draft
  /** Of the last attempt to save. */
  error: Error | null
  onChange: (draft: Draft) => void
  /** Called if the draft has no faults. */
  onSave: () => void
  /** Stands below the fields. */
  children: (errors: FieldErrors) => ReactNode
}

export function UserForm({ draft, error, onChange, onSave, children }: Props) {
  const form = useRef<HTMLFormElement>(null)
  const [faults, setFaults] = useState(noErrors)
  const submit = () => {
    const found = draftFaults(draft)
    setFaults(found)
    if (found.size === 0) onSave()
  }
  const errors = faults.size > 0 ? faults : fieldErrors(error)
  useFocusOnError(form, faults.size > 0 ? faults : error)
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
      {error && <ProblemNotice error={error} onRetry={errors.size > 0 ? undefined : submit} />}
      <UserFields draft={draft} errors={errors} onChange={onChange} />
      {children(errors)}
    </form>
  )
}
