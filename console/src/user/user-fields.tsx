// The fields of a user, for creating and editing.
import { SelectField } from '../ui/select-field.tsx'
import { statusText } from '../ui/status-badge.tsx'
import { TextField } from '../ui/text-field.tsx'
import { AttributesEditor } from './attributes-editor.tsx'
import { ContactsEditor } from './contacts-editor.tsx'
import type { Draft } from './draft.ts'
import type { FieldErrors } from './field-errors.ts'

type Props = { draft: Draft; errors: FieldErrors; onChange: (draft: Draft) => void }

const statusOptions = Object.entries(statusText).map(([value, text]) => ({ value, text }))

export function UserFields({ draft, errors, onChange }: Props) {
  const change = (parts: Partial<Draft>) => onChange({ ...draft, ...parts })
  return (
    <>
      <TextField
        label="Username"
        value={draft.username}
        error={errors.get('/username')}
        autoComplete="off"
        autoFocus
        isRequired
        onChange={(username) => change({ username })}
      />
      <TextField
        label="Name"
        value={draft.name}
        error={errors.get('/name')}
        autoComplete="off"
        onChange={(name) => change({ name })}
      />
      <SelectField
        label="Status"
        value={draft.status}
        options={statusOptions}
        error={errors.get('/status')}
        onChange={(status) => change({ status: status as Draft['status'] })}
      />
      <TextField
        label="External id"
        hint="The user's id in another system"
        value={draft.externalId}
        error={errors.get('/external_id')}
        autoComplete="off"
        onChange={(externalId) => change({ externalId })}
      />
      <ContactsEditor rows={draft.contacts} errors={errors} onChange={(contacts) => change({ contacts })} />
      <AttributesEditor
        rows={draft.attributes}
        errors={errors}
        onChange={(attributes) => change({ attributes })}
      />
    </>
  )
}
