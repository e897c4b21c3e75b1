// Saves and removes views.
import { useState } from 'react'
import { Form } from 'react-aria-components'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogButtons, UnsavedInput } from '../ui/dialog.tsx'
import { TextField } from '../ui/text-field.tsx'
import type { ListAddress } from './address.ts'
import { nameLengthMax, type View } from './views.ts'

type Props = {
  dialog: 'save' | 'remove'
  address: ListAddress
  views: readonly View[]
  onStore: (views: readonly View[]) => void
  onClose: () => void
}

export default function ViewDialog({ dialog, address, views, onStore, onClose }: Props) {
  if (dialog === 'save')
    return (
      <SaveDialog
        onClose={onClose}
        onSave={(name) => onStore([...views.filter((view) => view.name !== name), { name, address }])}
      />
    )
  return (
    <Dialog title="Remove a view" onClose={onClose}>
      <ul className="flex flex-col gap-1">
        {views.map(({ name }) => (
          <li key={name} className="flex items-center gap-2">
            <bdi className="flex-1">{name}</bdi>
            <Button
              aria-label={`Remove ${name}`}
              onPress={() => onStore(views.filter((view) => view.name !== name))}
            >
              Remove
            </Button>
          </li>
        ))}
      </ul>
    </Dialog>
  )
}

function SaveDialog({ onClose, onSave }: { onClose: () => void; onSave: (name: string) => void }) {
  const [name, setName] = useState('')
  return (
    <Dialog title="Save this view" onClose={onClose}>
      <Form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault()
          if (name.trim() !== '') onSave(name.trim())
        }}
      >
        <TextField
          label="Name"
          hint="A view of the same name is replaced. Views stay in this browser."
          value={name}
          onChange={setName}
          maxLength={nameLengthMax}
          autoFocus
        />
        <UnsavedInput isUnsaved={name !== ''} />
        <DialogButtons>
          <Button onPress={onClose}>Cancel</Button>
          <Button look="primary" type="submit" isDisabled={name.trim() === ''}>
            Save
          </Button>
        </DialogButtons>
      </Form>
    </Dialog>
  )
}
