/** A person verifies the address, changes it, and takes that back by the mail to the old one, with what axe-core finds on the pages. */
import { newestMail } from '../_mails.ts'
import { password } from '../_server.ts'
import { startDiscoverable } from '../interop/_discoverable.ts'
import { browserTest, firstSight } from './_chromium.ts'
import { violations } from './appearance.ts'

for (const [language, locale, colorScheme, viewport, headings] of [
  [
    'English',
    'en-GB',
    'light',
    { width: 1280, height: 800 },
    ['Your address is confirmed', 'Your address has been changed', 'Your old address is back', 'Reset your password'],
  ],
  [
    'Korean',
    'ko-KR',
    'dark',
    { width: 375, height: 740 },
    ['이메일이 확인되었어요', '이메일이 변경되었어요', '원래 이메일로 되돌렸어요', '비밀번호 재설정'],
  ],
] as const) {
  browserTest(
    `an address is verified, changed and brought back, and axe-core finds nothing: ${language}`,
    async (t, open) => {
      const server = await startDiscoverable(t, { oauth: { hasMail: true } })
      const find = async () => (await server.deps.storage.findUserByUsername('alice'))!
      const { id } = await find()
      await server.deps.storage.updateUser(id, { email: 'alice@example.com' }, { at: 1, type: 'user.updated' })
      const page = await open(server, { locale, colorScheme, viewport })
      const seen: string[] = []
      const complaints: string[] = []
      const look = async () => {
        complaints.push(...(await violations(page)))
        t.false(await page.evaluate('document.documentElement.scrollWidth > innerWidth'), page.url())
      }
      const press = async () => {
        await look()
        await page.locator('main form button.main').click()
      }
      const done = async () => {
        await page.waitForSelector('main form', { state: 'detached' })
        seen.push((await firstSight(page)).heading)
        await look()
      }
      await page.goto('/login')
      await page.locator('[name=username]').fill('alice')
      await page.locator('[name=password]').fill(password)
      await page.locator('main button.main').click()
      await page.waitForURL('/profile')
      await look()
      await page.locator('a[href="/profile/email"]').click()
      await press()
      await page.waitForURL('/profile/email/verification/code')
      await page.locator('[name=code]').fill((await newestMail(server, 'email_verification'))!.code)
      await press()
      await page.waitForURL('/mail/email_verification')
      await press()
      await done()

      await page.goto('/profile/email')
      await page.locator('a[href="/profile/email/change"]').click()
      await page.locator('[name=email]').fill('alice@example.com')
      await press()
      await page.waitForSelector('[aria-invalid=true]')
      await page.locator('[name=email]').fill('new@example.net')
      await press()
      await page.waitForURL('/profile/email/change/code')
      await page.goto((await newestMail(server, 'email_change'))!.path)
      await page.waitForURL('/mail/email_change')
      await press()
      await done()
      t.is((await find()).email, 'new@example.net')

      await page.goto((await newestMail(server, 'email_change_notice'))!.path)
      await page.waitForURL('/mail/email_change_notice')
      await press()
      await done()
      t.is((await find()).email, 'alice@example.com')
      await page.locator('main a.button.main').click()
      await page.waitForURL('/login/forgot-password')
      seen.push((await firstSight(page)).heading)
      t.deepEqual(seen, headings)
      t.deepEqual(complaints, [])
    },
  )
}
