// The list of keys.
import { useState } from 'react'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogButtons } from '../ui/dialog.tsx'
import { areSingleKeysOn, turnSingleKeys } from './shortcuts.ts'

const keys: readonly [key: string, action: string][] = [
  ['Ctrl K or ⌘K', 'Commands, and users by name'],
  ['/', 'Search the users'],
  ['↑ ↓ or j k', 'Next and previous user in the list'],
  ['Space', 'Select a user'],
  ['Shift ↑ ↓', 'Extend the selection'],
  ['Enter', 'Open a user'],
  ['e', 'Edit the open user'],
  ['Alt ↑ ↓', 'Move a contact'],
  ['Esc', 'Close a dialog, clear the selection'],
  ['?', 'Show these keys'],
]

export default function KeysDialog({ onClose }: { onClose: () => void }) {
  const [isOn, setIsOn] = useState(areSingleKeysOn)
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5">
        {keys.map(([key, action]) => (
          <div key={key} className="contents">
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{action}</dd>
          </div>
        ))}
      </dl>
      <label className="flex items-center gap-2">
        <input
          type="checkbox"
          checked={isOn}
          onChange={(event) => {
            turnSingleKeys(event.target.checked)
            setIsOn(event.target.checked)
          }}
        />
        Use the keys without Ctrl, ⌘ or Alt
      </label>
      <DialogButtons>
        <Button onPress={onClose}>Close</Button>
      </DialogButtons>
    </Dialog>
  )
}
