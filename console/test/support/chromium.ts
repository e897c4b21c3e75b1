// Chromium for tests, from the PATH or the distribution's packages.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type Browser, chromium } from 'playwright-core'
import { atEnd } from '../../../test/support/cleanup.ts'
import { fetchProgram, findOnPath } from '../../../test/support/debian.ts'

const run = promisify(execFile)

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Starts Chromium with a new profile, and closes it when the test or the file ends. */
export async function startChromium(): Promise<Browser> {
  const { command, env } = await findChromium()
  const browser = await chromium.launch({
    executablePath: command,
    args: flags,
    env: { ...process.env, ...env } as Record<string, string>,
  })
  atEnd(() => browser.close())
  return browser
}

async function findChromium(): Promise<{ command: string; env: Record<string, string> }> {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    const command = await findOnPath(name)
    if (command !== undefined) return { command, env: {} }
  }
  try {
    const packages = await missingPackages()
    return await fetchProgram({ name: 'chromium', program: 'usr/lib/chromium/chromium', packages })
  } catch (error) {
    const [reason] = (error as Error).message.split('\n')
    throw new Error(`The console's tests need Chromium. Install the package chromium. (${reason})`)
  }
}

/** @returns the browser's packages, and those of the libraries that it needs and the machine lacks */
async function missingPackages(): Promise<string[]> {
  const options = ['install', '--simulate', '--no-install-recommends', 'chromium']
  const { stdout } = await run('apt-get', options, { timeout: 60_000 })
  const missing = [...stdout.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name)
  return [...new Set(['chromium', 'chromium-common', ...missing])]
}
