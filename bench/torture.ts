// npm run torture [-- --minutes 2] [--processes 2] [--users 100] [--hold 1] [--only Redis]: writers and readers on real server processes
// while parts fail, one after another, and a judge who looks at every answer. With `--writes 100000` instead
// of minutes nothing fails, and it ends after so many writes. `--hold` is how many seconds a fault lasts that can last
// for any time; `--only` takes the faults whose names hold these words.
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { runCommand } from '../src/cli/command.ts'
import { isKept } from '../test/support/judge.ts'
import { boundMs, type Fault, faults, startTorture, type Torture } from '../test/support/torture.ts'
import { positive } from './options.ts'
import { openUndo } from './undo.ts'

const faultEveryMs = 4_000
const startedAt = performance.now()

await runCommand(async () => {
  const { values: options } = parseArgs({
    options: {
      minutes: { type: 'string', default: '2' },
      writes: { type: 'string' },
      processes: { type: 'string', default: '2' },
      users: { type: 'string', default: '100' },
      hold: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
    },
  })
  const minutes = positive('--minutes', options.minutes)
  const writes = options.writes === undefined ? undefined : positive('--writes', options.writes)
  const [processes, users] = [
    positive('--processes', options.processes, 'whole'),
    positive('--users', options.users, 'whole'),
  ]
  const faultMs = positive('--hold', options.hold) * 1_000
  const chosen = faults.filter(({ what }) => what.includes(options.only))
  if (chosen.length === 0) throw new Error('--only must be part of the name of a fault')
  const undo = openUndo()
  try {
    const torture = await startTorture({ processes, users, faultMs }, undo.push)
    const begunAt = performance.now()
    say(`${processes} servers, ${users} users`)
    if (writes === undefined) await fail(torture, chosen, begunAt + minutes * 60_000)
    else while (torture.judge.ruling.writes < writes) await pause(100)
    await torture.finish()
    report(torture, (performance.now() - begunAt) / 1_000)
    process.exitCode = isKept(torture.judge.ruling) ? 0 : 1
  } finally {
    await undo.run()
  }
})

async function fail(torture: Torture, faults: Fault[], endAt: number): Promise<void> {
  for (let at = 0; performance.now() < endAt; at++) {
    await pause(faultEveryMs)
    const fault = faults[at % faults.length]
    if (!fault) return
    say(fault.what)
    await torture.inflict(fault)
  }
  await pause(faultEveryMs)
}

function say(text: string): void {
  const seconds = Math.round((performance.now() - startedAt) / 1_000)
  process.stdout.write(`${String(seconds).padStart(4)} s  ${text}\n`)
}

function report({ judge: { ruling, complaints } }: Torture, seconds: number): void {
  for (const complaint of complaints) process.stdout.write(`  ${complaint}\n`)
  const rate = (count: number) => `${count} (${Math.round(count / seconds)}/s)`
  process.stdout.write(`
acknowledged writes    ${rate(ruling.writes)}
reads                  ${rate(ruling.reads)}, ${ruling.hits} from the cache
refused (429, 503)     ${ruling.refused}
connections broken     ${ruling.broken}
other statuses         ${ruling.otherStatuses}
stale                  ${ruling.stale}
stale within ${boundMs} ms of a write that could not reach Redis   ${ruling.late}
wrong answers          ${ruling.wrong}
users with lost writes ${ruling.lost}
`)
}
