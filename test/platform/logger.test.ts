// Log lines of several processes on one standard output.
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'

const processes = 4
const linesEach = 3_000

// Writes more than a pipe holds, in lines of up to 2 KB with characters of several bytes.
const writer = `
  import { openLogger } from ${JSON.stringify(resolve('src/platform/logger.ts'))}
  const logger = openLogger('info', { isShared: true })
  for (let line = 0; line < ${linesEach}; line++) {
    logger.info('line', { writer: process.argv[1], line, text: 'ü'.repeat(line % 1000) })
    if (line % 100 === 0) await new Promise(setImmediate)
  }
  await logger.flush()
`

it('lines of several processes stay whole when their reader is slow', async () => {
  // The shell starts all of them with the same pipe.
  const command = Array.from(
    { length: processes },
    (_, at) => `"$NODE" --input-type=module -e "$WRITER" ${at} &`,
  )
  const shell = spawn('sh', ['-c', `${command.join(' ')} wait`], {
    env: { ...process.env, NODE: process.execPath, WRITER: writer },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const chunks: Buffer[] = []
  for await (const chunk of shell.stdout) {
    chunks.push(chunk as Buffer)
    // The reader's slowness is the condition under test: the pipe must be full now and then.
    if (chunks.length < 50) await pause(5)
  }
  const lines = Buffer.concat(chunks).toString().trimEnd().split('\n')
  expect(lines).toHaveLength(processes * linesEach)
  const next = Array.from({ length: processes }, () => 0)
  for (const line of lines) {
    const { writer, line: number, text } = JSON.parse(line)
    expect(number).toBe(next[writer])
    expect(text).toHaveLength(number % 1000)
    next[writer] = number + 1
  }
})
