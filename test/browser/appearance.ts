/** What every page has in common: WCAG 2.2 as axe-core checks it, in both colour schemes and languages, on wide and narrow screens. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { browserTest, type Site, signIn, startSite } from './_chromium.ts'
import { shownCode } from './_factor_pages.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

type Violation = { id: string; help: string; nodes: { html: string; failureSummary: string }[] }

export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(`${axe};0`)
  const { violations, passes } = (await page.evaluate('axe.run()')) as { violations: Violation[]; passes: unknown[] }
  if (passes.length === 0) throw new Error('axe found nothing to check')
  return violations.map(
    ({ id, help, nodes }) => `${page.url()}: ${id}, ${help}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`,
  )
}

/** Shows every page, each with something on it that only it has, and calls `look` on each. */
async function walk(page: Page, server: Site, look: (name: string) => Promise<void>): Promise<void> {
  await page.goto('/')
  await look('home')
  await page.goto('/nowhere')
  await look('error')
  await page.goto('/login?return_to=/profile')
  await look('sign in')
  await page.locator('[name=username]').fill('alice')
  await page.locator('[name=password]').fill('wrong')
  await page.locator('main button.main').click()
  await page.waitForSelector('[aria-invalid=true]')
  await look('sign in, refused')

  for (let i = 0; i < 9; i++) await server.signIn({ device: i === 0 ? 'x'.repeat(64) : `device ${i}` })
  await page.context().clearCookies()
  await signInAnyLanguage(page)
  await look('account')
  await page.goto('/profile/password')
  await look('password')
  await page.locator('[name=current_password]').fill('wrong')
  await page.locator('[name=new_password]').fill('PasswordPassword')
  await page.locator('[name=new_password_repeat]').fill('Password1234')
  await page.locator('main form button.main').click()
  await page.waitForSelector('[aria-invalid=true]')
  await look('password, refused')
  await walkFactors(page, server, look)
  await page.goto('/logout')
  await look('sign out')
  await page.locator('main button').click()
  await page.waitForURL('/logout')
  await look('signed out')
}

/** Adds an app, signs in by it, and back in the account where it is. */
async function walkFactors(page: Page, server: Site, look: (name: string) => Promise<void>): Promise<void> {
  await page.goto('/profile/factors?kind=passkey')
  await look('add a passkey')
  await page.goto('/profile/factors?kind=totp')
  await look('add an app')
  const code = await shownCode(page, server)
  await page.locator('[name=otp]').fill('000000')
  await page.locator('button.main').click()
  await page.waitForSelector('[aria-invalid=true]')
  await look('add an app, refused')
  await page.locator('[name=otp]').fill(code())
  await page.locator('button.main').click()
  await page.waitForSelector('.codes')
  await look('recovery codes')
  await page.goto('/profile')
  await look('account with factors')
  await page.locator('[id=factor0-act]').click()
  await page.waitForSelector('.danger')
  await look('a factor')
  await page.goto('/profile/recovery-codes')
  await look('new recovery codes')
  await page.goto('/login/confirm')
  await look('confirm')
  await page.context().clearCookies()
  await givePassword(page)
  await page.waitForSelector('[name=otp]')
  await look('code')
  await page.locator('[name=otp]').fill('000000')
  await page.locator('button.main').click()
  await page.waitForSelector('[aria-invalid=true]')
  await look('code, refused')
  await page.locator('[value=recovery_code]').click()
  await page.waitForSelector('[name=recovery_code]')
  await look('recovery code')
  server.clock.advance(30)
  await page.locator('[value=otp]').click()
  await page.locator('[name=otp]').fill(code())
  await page.locator('button.main').click()
  await page.waitForURL('/profile')
}

async function givePassword(page: Page): Promise<void> {
  await page.goto('/login')
  await page.locator('[name=username]').fill('alice')
  await page.locator('[name=password]').fill('correct horse battery staple')
  await page.locator('main button.main').click()
}

async function signInAnyLanguage(page: Page): Promise<void> {
  await givePassword(page)
  await page.waitForURL('/profile')
}

for (const [title, options] of Object.entries({
  'English, light, on a wide screen': { locale: 'en-GB', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  'Korean, dark, on a phone': { locale: 'ko-KR', colorScheme: 'dark', viewport: { width: 390, height: 844 } },
  'English, dark, on the narrowest screen': {
    locale: 'en-GB',
    colorScheme: 'dark',
    viewport: { width: 320, height: 640 },
  },
  'Korean, light, on a wide screen': { locale: 'ko-KR', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
} as const)) {
  browserTest(`axe-core finds nothing on any page: ${title}`, async (t, open) => {
    const server = await startSite(t, 'localhost')
    const page = await open(server, options)
    const found: string[] = []
    const seen: string[] = []
    await walk(page, server, async name => {
      seen.push(name)
      found.push(...(await violations(page)))
      const look = (await page.evaluate(`({
        overflow: document.documentElement.scrollWidth > innerWidth,
        lang: document.documentElement.lang,
        brightness: getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) / 3,
        text: document.body.innerText,
      })`)) as { overflow: boolean; lang: string; brightness: number; text: string }
      t.false(look.overflow, `${name} is wider than the screen`)
      t.is(look.lang, options.locale.slice(0, 2), name)
      t.is(look.brightness < 128, options.colorScheme === 'dark', name)
      t.is(/[가-힣]/.test(look.text), options.locale === 'ko-KR', name)
    })
    t.deepEqual(found, [])
    t.is(seen.length, 20)
  })
}

browserTest('axe-core would find a field without a label', async (t, open) => {
  const page = await open(await startSite(t))
  await page.goto('/login')
  t.deepEqual(await violations(page), [])
  await page.evaluate(`document.querySelector('label').remove()`)
  t.regex((await violations(page)).join(), /label/)
})

browserTest(
  'the keyboard reaches everything in the order of the page, and what has the focus shows it',
  async (t, open) => {
    const page = await open(await startSite(t))
    await signIn(page)
    const order: string[] = []
    for (let i = 0; i < 20; i++) {
      await page.keyboard.press('Tab')
      const [name, isVisible] = (await page.evaluate(`(() => {
      const { activeElement } = document
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(activeElement)
      return [activeElement === document.body ? '' : (activeElement.querySelector('.name') ?? activeElement).innerText.trim(), outlineStyle !== 'none' && outlineWidth !== '0px' || boxShadow !== 'none']
    })()`)) as [string, boolean]
      if (name === '') break
      t.true(isVisible, name)
      order.push(name)
    }
    t.deepEqual(order.slice(-3), ['Sign out', 'Download', 'Delete'])
    t.true(order.includes('alice'))
  },
)
