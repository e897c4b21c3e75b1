// Begins an import with a check of its file, and lists the latest imports.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useId, useState } from 'react'
import { useIsAdmin } from '../api/session.ts'
import { Button } from '../ui/button.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { SelectField } from '../ui/select-field.tsx'
import { Time } from '../ui/time.tsx'
import { jobState, jobTitle } from './job-progress.tsx'
import { beginImport, type ImportOptions, importsQuery } from './jobs.ts'

const formats = [
  { value: 'ndjson', text: 'NDJSON of this service' },
  { value: 'csv', text: 'CSV of this service' },
  { value: 'keycloak', text: 'Keycloak' },
  { value: 'auth0', text: 'Auth0' },
  { value: 'firebase', text: 'Firebase' },
  { value: 'cognito', text: 'Cognito' },
  { value: 'clerk', text: 'Clerk' },
  { value: 'supabase', text: 'Supabase' },
]
const conflicts = [
  { value: 'skip', text: 'Leave it' },
  { value: 'update', text: 'Update the fields of the row' },
  { value: 'fail', text: 'Refuse the row' },
]
const matches = [
  { value: 'username', text: 'Username' },
  { value: 'external_id', text: 'External id' },
]

export default function ImportsScreen() {
  const isAdmin = useIsAdmin()
  if (!isAdmin) return <p className="p-4">Only administrators can import users.</p>
  return (
    <div className="flex flex-col gap-4 p-4">
      <h1>Import users</h1>
      <ImportForm />
      <LatestImports />
    </div>
  )
}

function ImportForm() {
  const navigate = useNavigate()
  const queryClient = useQueryClient()
  const fileId = useId()
  const [file, setFile] = useState<File>()
  const [options, setOptions] = useState<ImportOptions>({
    format: 'ndjson',
    on_conflict: 'skip',
    match: 'username',
  })
  const check = useMutation({
    mutationFn: (chosen: File) => beginImport(chosen, { ...options, dry_run: true }),
    onSuccess: async ({ id }) => {
      await queryClient.invalidateQueries({ queryKey: importsQuery.queryKey })
      await navigate({ to: '/imports/$jobId', params: { jobId: id } })
    },
  })
  // The select offers only these values.
  const change = (parts: Record<string, string>) => setOptions({ ...options, ...parts } as ImportOptions)
  return (
    <form
      className="flex max-w-xl flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault()
        if (file) check.mutate(file)
      }}
    >
      {check.error && <ProblemNotice error={check.error} />}
      <div className="flex flex-col gap-1">
        <label htmlFor={fileId} className="text-muted">
          File, also compressed by gzip or Zstandard
        </label>
        <input
          id={fileId}
          type="file"
          onChange={({ target: { files } }) => {
            const chosen = files?.[0]
            setFile(chosen)
            if (chosen && /\.csv(\.|$)/i.test(chosen.name)) change({ format: 'csv' })
          }}
        />
      </div>
      <SelectField
        label="Format"
        value={options.format}
        options={formats}
        onChange={(format) => change({ format })}
      />
      <SelectField
        label="A row belongs to a user with the same"
        value={options.match}
        options={matches}
        onChange={(match) => change({ match })}
      />
      <SelectField
        label="If the user exists already"
        value={options.on_conflict}
        options={conflicts}
        onChange={(on_conflict) => change({ on_conflict })}
      />
      <p className="text-muted">The check reads the whole file and changes no user.</p>
      <Button look="primary" type="submit" className="self-start" isDisabled={!file || check.isPending}>
        {check.isPending ? 'Sending the file…' : 'Check the file'}
      </Button>
    </form>
  )
}

function LatestImports() {
  const imports = useQuery(importsQuery)
  if (imports.error) return <ProblemNotice error={imports.error} onRetry={() => void imports.refetch()} />
  if (imports.isPending) return <div aria-hidden="true" className="skeleton h-20 max-w-xl" />
  return (
    <section aria-label="Latest imports" className="flex flex-col gap-1">
      <h2>Latest imports</h2>
      {imports.data.length === 0 && <p className="text-muted">There are none yet.</p>}
      <ul>
        {imports.data.map((job) => (
          <li key={job.id} className="flex flex-wrap gap-x-3 py-1">
            <Link to="/imports/$jobId" params={{ jobId: job.id }} className="text-accent underline">
              {jobTitle(job)}
            </Link>
            <span>{jobState(job)}</span>
            <span className="text-muted">
              <Time value={job.created_at} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}
