// Begins an import with a check of its file, and lists the latest imports.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useIsAdmin } from '../api/session.ts'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { Time } from '../ui/time.tsx'
import { ImportForm } from './import-form.tsx'
import { jobState, jobTitle } from './job-progress.tsx'
import { importsQuery } from './jobs.ts'

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
