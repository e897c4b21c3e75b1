// Ctrl K: commands, and users that match the typed words.
import { useQuery } from '@tanstack/react-query'
import { useRouter } from '@tanstack/react-router'
import { useState } from 'react'
import { Autocomplete, Input, Label, ListBox, ListBoxItem, SearchField } from 'react-aria-components'
import { directory } from '../api/directory.ts'
import { signOut, useIsAdmin } from '../api/session.ts'
import { useDebounced } from '../ui/debounce.ts'
import { Dialog } from '../ui/dialog.tsx'
import { describeError } from '../ui/problem-notice.tsx'
import { showToast } from '../ui/toasts.tsx'

type Command = { id: string; text: string; run: () => void }

const usersMax = 6

export default function CommandPalette({ onClose, onKeys }: { onClose: () => void; onKeys: () => void }) {
  const router = useRouter()
  const isAdmin = useIsAdmin()
  const [input, setInput] = useState('')
  const search = useDebounced(input.trim(), 150)
  const users = useQuery({
    queryKey: ['palette', search],
    queryFn: ({ signal }) => directory.page({ search, limit: usersMax }, { signal }),
    enabled: search !== '',
  })

  const go = (to: string) => () => void router.navigate({ to })
  const all: Command[] = [
    { id: 'users', text: 'Go to the users', run: go('/users') },
    {
      id: 'blocked',
      text: 'Show blocked users',
      run: () => void router.navigate({ to: '/users', search: { status: 'BLOCKED' } }),
    },
    ...(isAdmin
      ? [
          { id: 'create', text: 'Create a user', run: go('/users/new') },
          { id: 'import', text: 'Import users', run: go('/imports') },
        ]
      : []),
    { id: 'health', text: 'Show the health', run: go('/service-health') },
    { id: 'keys', text: 'Show the keys', run: onKeys },
    {
      id: 'sign-out',
      text: 'Sign out',
      run: () => void signOut().catch((error: unknown) => showToast(describeError(error).detail)),
    },
  ]
  const words = input.trim().toLowerCase()
  const commands = all.filter(({ text }) => text.toLowerCase().includes(words))
  const found: Command[] = (search === words || search !== '' ? (users.data?.items ?? []) : []).map(
    (user) => ({
      id: user.id,
      text: user.name === null ? user.username : `${user.username}, ${user.name}`,
      run: go(`/users/${user.id}`),
    }),
  )
  const items = words === '' ? commands : [...found, ...commands]

  return (
    <Dialog title="Commands" onClose={onClose}>
      <Autocomplete inputValue={input} onInputChange={setInput}>
        <SearchField autoFocus aria-label="Command or user" className="flex flex-col gap-1">
          <Label className="text-muted">Command, or words of a user</Label>
          <Input className="field" />
        </SearchField>
        <ListBox
          aria-label="Commands and users"
          items={items}
          className="max-h-72 overflow-y-auto"
          renderEmptyState={() => (
            <p className="p-2 text-muted">{users.isFetching ? 'Searching…' : 'Nothing matches.'}</p>
          )}
          onAction={(key) => {
            onClose()
            items.find(({ id }) => id === key)?.run()
          }}
        >
          {({ id, text }) => (
            <ListBoxItem
              id={id}
              textValue={text}
              className="cursor-default rounded-md px-2 py-1.5 wrap-anywhere focus:bg-chosen hover:bg-hover"
            >
              <bdi>{text}</bdi>
            </ListBoxItem>
          )}
        </ListBox>
      </Autocomplete>
      {users.error && <p role="alert">{describeError(users.error).detail}</p>}
    </Dialog>
  )
}
