// Chooses a picture, crops a square, and previews what will be stored.
import { useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useState } from 'react'
import { directory, type User } from '../api/directory.ts'
import { useSingleMutation } from '../api/single-mutation.ts'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogButtons, UnsavedInput } from '../ui/dialog.tsx'
import { FileField } from '../ui/file-field.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { showToast } from '../ui/toasts.tsx'
import { Cropper } from './cropper.tsx'
import { storeUser, userQuery } from './user-query.ts'

const types = 'image/png,image/jpeg,image/webp,image/gif,image/avif'
const megabytesMax = 30

export function AvatarDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const queryClient = useQueryClient()
  const [picture, setPicture] = useState<ImageBitmap>()
  const [cropped, setCropped] = useState<() => Promise<Blob>>()
  const [fault, setFault] = useState<string>()
  const keepCropped = useCallback((image: () => Promise<Blob>) => setCropped(() => image), [])
  useEffect(() => () => picture?.close(), [picture])

  const save = useSingleMutation({
    mutationFn: async (image: (() => Promise<Blob>) | null) => {
      const { version } = user
      if (image === null) return directory.patch(user.id, { avatar: null }, { version })
      await directory.uploadAvatar(user.id, await image(), { version })
      return directory.get(user.id)
    },
    onSuccess: (changed) => {
      storeUser(queryClient, changed)
      showToast(changed.avatar === null ? 'The avatar is removed.' : 'The avatar is saved.')
      onClose()
    },
    onError: () => queryClient.invalidateQueries(userQuery(user.id)),
  })

  const choose = async (file: File | undefined) => {
    if (!file) return
    setFault(undefined)
    if (file.size > megabytesMax * 1024 * 1024)
      return setFault(`The file must have at most ${megabytesMax} MB.`)
    try {
      setPicture(await createImageBitmap(file))
    } catch {
      setFault('The browser cannot read this file. Choose a PNG, JPEG, WebP, GIF or AVIF picture.')
    }
  }

  return (
    <Dialog title={`Avatar of ${user.username}`} onClose={onClose}>
      {save.error && <ProblemNotice error={save.error} />}
      <FileField label="Picture" accept={types} error={fault} onChange={(file) => void choose(file)} />
      {picture && <Cropper picture={picture} onCrop={keepCropped} />}
      <UnsavedInput isUnsaved={picture !== undefined && !save.isPending} />
      <DialogButtons>
        {user.avatar !== null && (
          <Button look="danger" isDisabled={save.isPending} onPress={() => save.mutate(null)}>
            Remove the avatar
          </Button>
        )}
        <Button onPress={onClose}>Cancel</Button>
        <Button
          look="primary"
          isDisabled={!cropped || save.isPending}
          onPress={() => save.mutate(cropped ?? null)}
        >
          {save.isPending ? 'Saving…' : 'Save'}
        </Button>
      </DialogButtons>
    </Dialog>
  )
}
