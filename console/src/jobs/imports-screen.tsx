// Begins an import with a check of its file, and lists the latest jobs.
import { type UseQueryResult, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { Job } from '../api/directory.ts'
import { useIsAdmin } from '../api/session.ts'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { Time } from '../ui/time.tsx'
import { ImportForm } from './import-form.tsx'
import { jobState, jobTitle } from './job-progress.tsx'
import { bulkChangesQuery, importsQuery } from './jobs.ts'

export default function ImportsScreen() {
  const isAdmin = useIsAdmin()
  if (!isAdmin) return <p className="p-4">Only administrators can import users.</p>
  return (
    <div className="flex flex-col gap-4 p-4">
      <h1>Import users</h1>
      <ImportForm />
      <LatestJobs />
    </div>
  )
}

function LatestJobs() {
  return (
    <>
      <JobList title="Latest imports" jobs={useQuery(importsQuery)} to="/imports/$jobId" />
      <JobList title="Latest bulk changes" jobs={useQuery(bulkChangesQuery)} to="/bulk/$jobId" />
    </>
  )
}

type ListProps = { title: string; jobs: UseQueryResult<Job[]>; to: '/imports/$jobId' | '/bulk/$jobId' }

function JobList({ title, jobs, to }: ListProps) {
  if (jobs.error) return <ProblemNotice error={jobs.error} onRetry={() => void jobs.refetch()} />
  if (jobs.isPending) return <div aria-hidden="true" className="skeleton h-20 max-w-xl" />
  return (
    <section aria-label={title} className="flex flex-col gap-1">
      <h2>{title}</h2>
      {jobs.data.length === 0 && <p className="text-muted">There are none yet.</p>}
      <ul>
        {jobs.data.map((job) => (
          <li key={job.id} className="flex flex-wrap gap-x-3 py-1">
            <Link to={to} params={{ jobId: job.id }} className="text-accent underline">
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
