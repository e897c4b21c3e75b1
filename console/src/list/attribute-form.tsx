// Asks for an attribute, and whether to set it or to remove it.
import { useState } from 'react'
import { Form } from 'react-aria-components'
import type { NewBulkChange } from '../api/directory.ts'
import { Button } from '../ui/button.tsx'
import { DialogButtons, UnsavedInput } from '../ui/dialog.tsx'
import { SelectField } from '../ui/select-field.tsx'
import { TextField } from '../ui/text-field.tsx'
import { numberFault, readNumber } from '../user/read-number.ts'
import { usersText } from './users-query.ts'

const kinds = [
  { value: 'text', text: 'Set it to a text' },
  { value: 'number', text: 'Set it to a number' },
  { value: 'true', text: 'Set it to yes' },
  { value: 'false', text: 'Set it to no' },
  { value: 'remove', text: 'Remove it' },
]

type Attributes = NonNullable<NewBulkChange['attributes']>
type Props = {
  count: number
  isPending: boolean
  onClose: () => void
  onConfirm: (attributes: Attributes) => void
}

export function AttributeForm({ count, isPending, onClose, onConfirm }: Props) {
  const [name, setName] = useState('')
  const [kind, setKind] = useState('text')
  const [text, setText] = useState('')
  const value = attributeOf(kind, text)
  const isReady = name.trim() !== '' && value !== undefined && !isPending
  return (
    <Form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault()
        if (isReady) onConfirm({ [name.trim()]: value })
      }}
    >
      <p>{usersText(count)} will be changed.</p>
      <TextField
        label="Name of the attribute"
        value={name}
        onChange={setName}
        placeholder="department"
        autoFocus
      />
      <SelectField label="Change" value={kind} options={kinds} onChange={setKind} />
      {(kind === 'text' || kind === 'number') && (
        <TextField
          label="Value"
          value={text}
          error={kind === 'number' && text !== '' && value === undefined ? numberFault : undefined}
          onChange={setText}
        />
      )}
      <UnsavedInput isUnsaved={(name !== '' || text !== '') && !isPending} />
      <DialogButtons>
        <Button onPress={onClose}>Cancel</Button>
        <Button look="primary" type="submit" isDisabled={!isReady}>
          {kind === 'remove' ? 'Remove' : 'Set'}
        </Button>
      </DialogButtons>
    </Form>
  )
}

/** @returns undefined for text that is no number; null removes the attribute */
function attributeOf(kind: string, text: string): Attributes[string] | undefined {
  if (kind === 'remove') return null
  if (kind === 'text') return text
  if (kind !== 'number') return kind === 'true'
  return readNumber(text)
}
