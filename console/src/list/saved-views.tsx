// The button of the views that the person saved in this browser.
import { lazy, Suspense, useState } from 'react'
import { MenuButton } from '../ui/menu-button.tsx'
import type { ListAddress } from './address.ts'
import { readViews, storeViews } from './views.ts'

const ViewMenu = lazy(() => import('./view-menu.tsx'))
const ViewDialog = lazy(() => import('./view-dialogs.tsx'))

type Props = { address: ListAddress; onOpen: (address: ListAddress) => void }

export function SavedViews({ address, onOpen }: Props) {
  const [views, setViews] = useState(readViews)
  const [dialog, setDialog] = useState<'save' | 'remove'>()
  const close = () => setDialog(undefined)
  return (
    <>
      <MenuButton text="Views">
        {(menu) => <ViewMenu menu={menu} views={views} onOpen={onOpen} onDialog={setDialog} />}
      </MenuButton>
      <Suspense>
        {dialog && (
          <ViewDialog
            dialog={dialog}
            address={address}
            views={views}
            onClose={close}
            onStore={(next) => {
              setViews(storeViews(next))
              close()
            }}
          />
        )}
      </Suspense>
    </>
  )
}
