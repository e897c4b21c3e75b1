// Runs a task for many users, with its progress, the outcome of each, and its undo.
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import type { User } from '../api/directory.ts'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogButtons } from '../ui/dialog.tsx'
import { type Outcome, runForEach, type Work } from './bulk-run.ts'
import { updateLoadedPages } from './users-query.ts'

export type BulkTask = {
  title: string
  users: User[]
  work: Work
  /** Makes the task that takes the changes back. */
  undo?: (outcomes: readonly Outcome[]) => BulkTask
}

type Props = { task: BulkTask; onUndo: (task: BulkTask) => void; onClose: () => void }

const shownMax = 100

export function BulkDialog({ task, onUndo, onClose }: Props) {
  const { outcomes, isRunning, stop } = useRun(task)
  const count = (state: Outcome['state']) => outcomes.filter((outcome) => outcome.state === state).length
  const [done, failed, unchanged] = [count('done'), count('failed'), count('unchanged')]
  const finished = outcomes.length - count('waiting')
  const parts = [
    `${done} of ${outcomes.length} done`,
    unchanged > 0 && `${unchanged} needed no change`,
    failed > 0 && `${failed} failed`,
    !isRunning && finished < outcomes.length && `${outcomes.length - finished} not begun`,
  ]
  return (
    <Dialog title={task.title} onClose={onClose} mustDecide={isRunning}>
      <progress
        className="w-full accent-accent"
        aria-label="Progress"
        value={finished}
        max={outcomes.length}
      />
      <p role="status">{parts.filter(Boolean).join(', ')}.</p>
      <Outcomes outcomes={outcomes} />
      <DialogButtons>
        {isRunning ? (
          <Button onPress={stop}>Stop</Button>
        ) : (
          <>
            {task.undo && done > 0 && (
              <Button
                onPress={() =>
                  task.undo && onUndo(task.undo(outcomes.filter(({ state }) => state === 'done')))
                }
              >
                Undo
              </Button>
            )}
            <Button look="primary" onPress={onClose}>
              Close
            </Button>
          </>
        )}
      </DialogButtons>
    </Dialog>
  )
}

const stateText = { waiting: 'Not begun', done: 'Done', unchanged: 'No change needed', failed: 'Failed' }
const order: readonly Outcome['state'][] = ['failed', 'done', 'unchanged', 'waiting']

function Outcomes({ outcomes }: { outcomes: readonly Outcome[] }) {
  const sorted = order.flatMap((state) => outcomes.filter((outcome) => outcome.state === state))
  const hidden = sorted.length - shownMax
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section aria-label="Outcomes" tabIndex={0} className="max-h-56 overflow-y-auto border-y border-line">
      <table className="w-full">
        <tbody>
          {sorted.slice(0, shownMax).map(({ user, state, message }) => (
            <tr key={user.id}>
              <th scope="row" className="py-0.5 pe-3 text-start font-normal">
                <bdi>{user.username}</bdi>
              </th>
              <td className={state === 'failed' ? 'text-danger' : 'text-muted'}>
                {message ?? stateText[state]}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {hidden > 0 && <p className="text-muted">And {hidden} more.</p>}
    </section>
  )
}

function useRun(task: BulkTask) {
  const queryClient = useQueryClient()
  const [outcomes, setOutcomes] = useState<readonly Outcome[]>([])
  const [isRunning, setIsRunning] = useState(true)
  const controller = useRef<AbortController>(undefined)
  useEffect(() => {
    // Strict mode mounts twice in development, and the task must run once.
    if (controller.current) return
    controller.current = new AbortController()
    // Aborting a request would leave its outcome unknown, so the signal only stops the next ones.
    const { signal } = controller.current
    const work: Work = async (user) => {
      const changed = await task.work(user, neverAborted)
      if (changed !== 'unchanged') updateLoadedPages(queryClient, user.id, changed)
      return changed
    }
    void runForEach({ users: task.users, work, signal }, setOutcomes).finally(() => {
      setIsRunning(false)
      void queryClient.invalidateQueries({ queryKey: ['user'] })
      void queryClient.invalidateQueries({ queryKey: ['users-total'] })
    })
  }, [task, queryClient])
  return { outcomes, isRunning, stop: () => controller.current?.abort() }
}

const neverAborted = new AbortController().signal
