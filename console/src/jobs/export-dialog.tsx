// Exports the users that filters or ids select.
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { exports } from '../api/directory.ts'
import { useSingleMutation } from '../api/single-mutation.ts'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogButtons } from '../ui/dialog.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { SelectField } from '../ui/select-field.tsx'
import { JobProgress } from './job-progress.tsx'
import { exportQuery } from './jobs.ts'

type Format = 'csv' | 'ndjson'

const formats = [
  { value: 'csv', text: 'CSV, for spreadsheets' },
  { value: 'ndjson', text: 'NDJSON, for programs' },
]

type Props = { of: { filters: Record<string, string> } | { ids: string[] }; onClose: () => void }

export default function ExportDialog({ of, onClose }: Props) {
  const [format, setFormat] = useState<Format>('csv')
  const begin = useSingleMutation({ mutationFn: () => exports.create({ format, ...of }) })
  const job = useQuery(exportQuery(begin.data?.id))
  const error = begin.error ?? job.error
  return (
    <Dialog title="Export users" onClose={onClose}>
      {error && <ProblemNotice error={error} />}
      {job.data ? (
        <JobProgress job={job.data} />
      ) : (
        <SelectField
          label="Format"
          value={format}
          options={formats}
          onChange={(value) => setFormat(value as Format)}
        />
      )}
      <DialogButtons>
        <Button onPress={onClose}>Close</Button>
        {job.data?.state === 'done' && (
          <a
            href={`/console/api/export/${job.data.id}/file`}
            download={`users.${format}`}
            className="inline-flex min-h-8 items-center rounded-md bg-accent px-3 font-medium text-on-accent"
          >
            Download the file
          </a>
        )}
        {!begin.data && (
          <Button look="primary" isDisabled={begin.isPending} onPress={() => begin.mutate()}>
            Export
          </Button>
        )}
      </DialogButtons>
    </Dialog>
  )
}
