// npm run torture: readers and writers on real server processes while dependencies fail, and a checker of every answer.
// `-- --help` lists the options.
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { runCommand } from '../src/cli/command.ts'
import { clusterFaults } from '../test/support/cluster-faults.ts'
import { isKept } from '../test/support/judge.ts'
import { startRedisCluster } from '../test/support/redis-cluster.ts'
import { boundMs, type Fault, faults, startTorture, type Torture } from '../test/support/torture.ts'
import { positive } from './options.ts'
import { tortureImport } from './torture-import.ts'
import { openUndo } from './undo.ts'

const usage = `Injects faults into real server processes under load, and checks every answer.

  npm run torture                        all faults in turn, for two minutes
  --minutes 2                            how long
  --writes 100000                        no faults, until this many writes
  --processes 2, --users 100             the size of the experiment
  --hold 1                               seconds that a lasting fault lasts
  --only Redis                           only faults whose names contain this
  --cluster                              on three primaries with replicas

  npm run torture -- --import kills      an import whose server, PostgreSQL and S3 server are killed
  npm run torture -- --import race       live writes that race with imports of the same users
  --rows 100000, --kills 20, --writes 10000
`

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
      cluster: { type: 'boolean', default: false },
      import: { type: 'string' },
      rows: { type: 'string', default: '100000' },
      kills: { type: 'string', default: '20' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (options.help) return void process.stdout.write(usage)
  if (options.import !== undefined) return tortureImport(options.import, options, print)
  const minutes = positive('--minutes', options.minutes)
  const writes = options.writes === undefined ? undefined : positive('--writes', options.writes)
  const [processes, users] = [
    positive('--processes', options.processes, 'whole'),
    positive('--users', options.users, 'whole'),
  ]
  const faultMs = positive('--hold', options.hold) * 1_000
  const undo = openUndo()
  try {
    const cluster = options.cluster ? await startRedisCluster({ replicas: 1 }) : undefined
    if (cluster) undo.push(cluster.close)
    const all = cluster ? clusterFaults(cluster) : faults
    const chosen = all.filter(({ what }) => what.includes(options.only))
    if (chosen.length === 0)
      throw new Error(`--only must be part of a fault's name: ${all.map(({ what }) => what).join('; ')}`)
    const clusterUrl = cluster?.url
    const torture = await startTorture(
      { processes, users, faultMs, ...(clusterUrl && { clusterUrl }) },
      undo.push,
    )
    const startedTestAt = performance.now()
    print(`${processes} servers, ${users} users`)
    if (writes === undefined) await injectFaults(torture, chosen, startedTestAt + minutes * 60_000)
    else while (torture.judge.ruling.writes < writes) await delay(100)
    await torture.finish()
    report(torture, (performance.now() - startedTestAt) / 1_000)
    process.exitCode = isKept(torture.judge.ruling) ? 0 : 1
  } finally {
    await undo.run()
  }
})

async function injectFaults(torture: Torture, faults: Fault[], endAt: number): Promise<void> {
  for (let at = 0; performance.now() < endAt; at++) {
    await delay(faultEveryMs)
    const fault = faults[at % faults.length]
    if (!fault) return
    print(fault.what)
    await torture.inflict(fault)
  }
  await delay(faultEveryMs)
}

function print(text: string): void {
  const seconds = Math.round((performance.now() - startedAt) / 1_000)
  process.stdout.write(`${String(seconds).padStart(4)} s  ${text}\n`)
}

function report({ judge: { ruling, complaints } }: Torture, seconds: number): void {
  for (const complaint of complaints) process.stdout.write(`  ${complaint}\n`)
  const rate = (count: number) => `${count} (${Math.round(count / seconds)}/s)`
  process.stdout.write(`
acknowledged writes    ${rate(ruling.writes)}
reads                  ${rate(ruling.reads)}, ${ruling.hits} from the cache
rejected (429, 503)    ${ruling.rejected}
connections broken     ${ruling.broken}
other statuses         ${ruling.otherStatuses}
stale                  ${ruling.stale}
stale within ${boundMs} ms of a write that could not reach Redis   ${ruling.late}
wrong answers          ${ruling.wrong}
users with lost writes ${ruling.lost}
`)
}
