// Chromium for tests.
import type { Browser } from 'playwright-core'
import { atEnd } from '../../../test/support/cleanup.ts'
import { launchChromium } from './launch-chromium.ts'

/** Starts Chromium with a new profile, and closes it when the test or the file ends. */
export async function startChromium(): Promise<Browser> {
  const browser = await launchChromium()
  atEnd(() => browser.close())
  return browser
}
