// Asks for the number of users, because erased users cannot be brought back.
import { useState } from 'react'
import { Form } from 'react-aria-components'
import { Button } from '../ui/button.tsx'
import { DialogButtons, UnsavedInput } from '../ui/dialog.tsx'
import { TextField } from '../ui/text-field.tsx'
import { usersText } from './users-query.ts'

type Props = { count: number; isPending: boolean; onClose: () => void; onConfirm: () => void }

export function EraseManyForm({ count, isPending, onClose, onConfirm }: Props) {
  const [input, setInput] = useState('')
  // People also type the separators that they read.
  const isConfirmed = input.replace(/[\s.,'’]/g, '') === String(count)
  return (
    <Form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault()
        if (isConfirmed && !isPending) onConfirm()
      }}
    >
      <p>The data, contacts and avatars of {usersText(count)} are erased. This cannot be undone.</p>
      <TextField
        label={`To confirm, type the number of users: ${count}`}
        value={input}
        onChange={setInput}
        autoFocus
        autoComplete="off"
      />
      <UnsavedInput isUnsaved={input !== '' && !isPending} />
      <DialogButtons>
        <Button onPress={onClose}>Cancel</Button>
        <Button look="danger" type="submit" isDisabled={!isConfirmed || isPending}>
          Erase
        </Button>
      </DialogButtons>
    </Form>
  )
}
