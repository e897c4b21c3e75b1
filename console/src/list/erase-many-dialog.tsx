// Asks for the number of users, because erased users cannot be brought back.
import { useState } from 'react'
import { Form } from 'react-aria-components'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogButtons } from '../ui/dialog.tsx'
import { TextField } from '../ui/text-field.tsx'

type Props = { count: number; onClose: () => void; onConfirm: () => void }

export function EraseManyDialog({ count, onClose, onConfirm }: Props) {
  const [input, setInput] = useState('')
  const isConfirmed = input.trim() === String(count)
  return (
    <Dialog title={count === 1 ? 'Erase 1 user' : `Erase ${count} users`} onClose={onClose}>
      <Form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault()
          if (isConfirmed) onConfirm()
        }}
      >
        <p>Their data, contacts and avatars are erased. This cannot be undone.</p>
        <TextField
          label={`To confirm, type the number of users: ${count}`}
          value={input}
          onChange={setInput}
          autoFocus
          autoComplete="off"
        />
        <DialogButtons>
          <Button onPress={onClose}>Cancel</Button>
          <Button look="danger" type="submit" isDisabled={!isConfirmed}>
            Erase
          </Button>
        </DialogButtons>
      </Form>
    </Dialog>
  )
}
