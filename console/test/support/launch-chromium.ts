// Chromium from the PATH or the distribution's packages.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type Browser, type BrowserContext, chromium } from 'playwright-core'
import { fetchProgram, findOnPath } from '../../../test/support/debian.ts'

export type { CDPSession, Page } from 'playwright-core'

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

/** Starts Chromium with a new profile. */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch(await launchOptions(flags))
}

/** Starts Chromium with the profile of a folder, so that other programs can use its session by the debugging port. */
export async function launchProfile(folder: string, debuggingPort: number): Promise<BrowserContext> {
  const args = [...flags, `--remote-debugging-port=${debuggingPort}`]
  return chromium.launchPersistentContext(folder, await launchOptions(args))
}

async function launchOptions(args: string[]) {
  const { command, env } = await findChromium()
  return {
    executablePath: command,
    args,
    env: { ...process.env, ...env } as Record<string, string>,
  }
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
