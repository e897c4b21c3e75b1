// One bulk change, or its undoing.
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { BulkJob } from './bulk-job.tsx'
import { jobTitle } from './job-progress.tsx'
import { bulkQuery } from './jobs.ts'

export default function BulkScreen() {
  const { jobId } = useParams({ from: '/bulk/$jobId' })
  const navigate = useNavigate()
  const job = useQuery(bulkQuery(jobId))
  return (
    <div className="flex max-w-xl flex-col gap-4 p-4">
      <Link to="/imports" className="self-start text-accent underline">
        All jobs
      </Link>
      {job.data && <h1>{jobTitle(job.data)}</h1>}
      <BulkJob
        key={jobId}
        id={jobId}
        onUndo={(id) => void navigate({ to: '/bulk/$jobId', params: { jobId: id } })}
      />
    </div>
  )
}
