// Lists that the person saved in this browser.
import { useState } from 'react'
import { Form, Menu, MenuItem, MenuTrigger, Popover, Separator } from 'react-aria-components'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogButtons } from '../ui/dialog.tsx'
import { TextField } from '../ui/text-field.tsx'
import { type ListAddress, readAddress } from './address.ts'

type View = { name: string; address: ListAddress }

const storageKey = 'console.views'
const viewsMax = 50
const nameLengthMax = 60

const itemLook = 'min-w-40 cursor-default rounded px-2 py-1 focus:bg-chosen'

type Props = { address: ListAddress; onOpen: (address: ListAddress) => void }

export function SavedViews({ address, onOpen }: Props) {
  const [views, setViews] = useState(readViews)
  const [dialog, setDialog] = useState<'save' | 'remove'>()
  const store = (next: View[]) => {
    localStorage.setItem(storageKey, JSON.stringify(next))
    setViews(next)
    setDialog(undefined)
  }
  return (
    <>
      <MenuTrigger>
        <Button>Views</Button>
        <Popover className="rounded-md border border-line bg-surface p-1 shadow-lg">
          <Menu aria-label="Views" className="max-h-80 overflow-y-auto">
            {views.map((view) => (
              <MenuItem
                key={view.name}
                textValue={view.name}
                className={itemLook}
                onAction={() => onOpen(view.address)}
              >
                <bdi>{view.name}</bdi>
              </MenuItem>
            ))}
            {views.length > 0 && <Separator className="my-1 border-t border-line" />}
            <MenuItem className={itemLook} onAction={() => setDialog('save')}>
              Save this view…
            </MenuItem>
            {views.length > 0 && (
              <MenuItem className={itemLook} onAction={() => setDialog('remove')}>
                Remove a view…
              </MenuItem>
            )}
          </Menu>
        </Popover>
      </MenuTrigger>
      {dialog === 'save' && (
        <SaveDialog
          onClose={() => setDialog(undefined)}
          onSave={(name) =>
            store([...views.filter((view) => view.name !== name), { name, address }].slice(-viewsMax))
          }
        />
      )}
      {dialog === 'remove' && (
        <Dialog title="Remove a view" onClose={() => setDialog(undefined)}>
          <ul className="flex flex-col gap-1">
            {views.map(({ name }) => (
              <li key={name} className="flex items-center gap-2">
                <bdi className="flex-1">{name}</bdi>
                <Button
                  aria-label={`Remove ${name}`}
                  onPress={() => store(views.filter((view) => view.name !== name))}
                >
                  Remove
                </Button>
              </li>
            ))}
          </ul>
        </Dialog>
      )}
    </>
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

/** Ignores entries that another version of the console wrote. */
function readViews(): View[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(storageKey) ?? '[]')
    if (!Array.isArray(stored)) return []
    return stored.slice(0, viewsMax).flatMap((entry: Partial<View> | null) => {
      if (typeof entry?.name !== 'string' || typeof entry.address !== 'object' || entry.address === null)
        return []
      return [{ name: entry.name.slice(0, nameLengthMax), address: readAddress(entry.address) }]
    })
  } catch {
    return []
  }
}
