/** What a phone shows for the picture on a page. */
import type { Page } from 'playwright-core'
import { stepAt, totpCode } from '../../src/users/factors/totp.ts'
import { shownSecret } from '../_pages.ts'
import type { Site } from './_chromium.ts'

/** @returns the code of any time from now on */
export async function shownCode(page: Page, server: Site): Promise<() => string> {
  const secret = shownSecret({ body: await page.content() })
  return () => totpCode(secret, stepAt(server.clock.now()))
}
