// The inputs that both walks of the revalidation share.
import type { ServiceContext } from '../context.ts'
import type { Pace } from '../pace.ts'
import type { Progress } from './checkpoint.ts'

export type Walk = {
  ctx: ServiceContext
  /** Whether the run must stop now. */
  isOver: () => boolean
  /** Reports progress, and saves a checkpoint now and then; always if `isLast`. */
  step: (progress: Progress, isLast?: boolean) => Promise<void>
  pace: Pace
}
