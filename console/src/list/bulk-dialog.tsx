// Leads a person through a bulk change: asks for what is missing, begins the job, and shows it.
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { bulk, type NewBulkChange } from '../api/directory.ts'
import { useSingleMutation } from '../api/single-mutation.ts'
import { BulkJob } from '../jobs/bulk-job.tsx'
import { jobTitle } from '../jobs/job-progress.tsx'
import { bulkQuery } from '../jobs/jobs.ts'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogButtons } from '../ui/dialog.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { filtersOf } from './address.ts'
import { AttributeForm } from './attribute-form.tsx'
import { EraseManyForm } from './erase-many-form.tsx'
import type { Chosen } from './selection.ts'
import { totalQuery, usersText } from './users-query.ts'

export type BulkAction = NewBulkChange['action']

const titles: Record<BulkAction, string> = {
  block: 'Block users',
  unblock: 'Unblock users',
  erase: 'Erase users',
  set_attributes: 'Set an attribute',
}

type Props = { action: BulkAction; chosen: Chosen; onClose: () => void; onDone: () => void }

export default function BulkDialog({ action, chosen, onClose, onDone }: Props) {
  const [jobId, setJobId] = useState<string>()
  const job = useQuery({ ...bulkQuery(jobId ?? ''), enabled: jobId !== undefined })
  const begin = useSingleMutation({
    mutationFn: (change: NewBulkChange) => bulk.create(change),
    onSuccess: ({ id }) => setJobId(id),
  })
  const title = job.data ? jobTitle(job.data) : titles[action]
  if (jobId !== undefined)
    return (
      <Dialog title={title} onClose={onDone}>
        <BulkJob key={jobId} id={jobId} onUndo={setJobId}>
          <Button look="primary" onPress={onDone} autoFocus>
            Close
          </Button>
        </BulkJob>
      </Dialog>
    )
  return (
    <Dialog title={title} onClose={onClose}>
      {begin.error && <ProblemNotice error={begin.error} />}
      <Question
        action={action}
        chosen={chosen}
        isPending={begin.isPending}
        onClose={onClose}
        onConfirm={begin.mutate}
      />
    </Dialog>
  )
}

type QuestionProps = Omit<Props, 'onDone'> & {
  isPending: boolean
  onConfirm: (change: NewBulkChange) => void
}

function Question({ action, chosen, isPending, onClose, onConfirm }: QuestionProps) {
  const isAll = chosen.ids === undefined
  // The estimate of the list is not enough to decide by.
  const counted = useQuery({ ...totalQuery(chosen.address, 'exact'), enabled: isAll, staleTime: 0 })
  if (counted.error) return <ProblemNotice error={counted.error} onRetry={() => void counted.refetch()} />
  const count = chosen.ids?.length ?? (counted.isFetching ? undefined : counted.data?.total)
  if (count === undefined) return <p role="status">Counting the users…</p>
  const selected = chosen.ids
    ? { ids: chosen.ids }
    : { filters: filtersOf(chosen.address), expected_total: count }
  const confirm = (attributes?: NewBulkChange['attributes']) =>
    onConfirm({ action, ...selected, ...(attributes && { attributes }) })
  const form = { count, isPending, onClose }
  if (action === 'erase') return <EraseManyForm {...form} onConfirm={confirm} />
  if (action === 'set_attributes') return <AttributeForm {...form} onConfirm={confirm} />
  return (
    <>
      <p>
        {action === 'block'
          ? `${usersText(count)} will be blocked and signed out within a second.`
          : `${usersText(count)} may sign in again.`}
      </p>
      <DialogButtons>
        <Button onPress={onClose}>Cancel</Button>
        <Button look="primary" isDisabled={isPending} onPress={() => confirm()} autoFocus>
          {action === 'block' ? 'Block' : 'Unblock'}
        </Button>
      </DialogButtons>
    </>
  )
}
