/** A forgotten password, as a person gets another one: by the code or the link of a mail, and the second factor. Each page is looked at by axe-core. */
import type { ExecutionContext } from 'ava'
import type { Page } from 'playwright-core'
import { addTotp } from '../_factors.ts'
import { newestMail } from '../_mails.ts'
import { startDiscoverable } from '../interop/_discoverable.ts'
import { browserTest, firstSight, typedFields } from './_chromium.ts'
import { violations } from './appearance.ts'

const fresh = 'seven lamps over the harbour'

/** A server with alice, who has an address and an authenticator app. */
async function start(t: ExecutionContext) {
  const server = await startDiscoverable(t, { oauth: { hasMail: true } })
  const alice = (await server.deps.storage.findUserByUsername('alice'))!
  await server.deps.storage.updateUser(alice.id, { email: 'alice@example.com' }, { at: 1, type: 'user.updated' })
  const { code: otp } = await addTotp(server, alice.id)
  return { ...server, otp }
}

async function type(page: Page, name: string, text: string): Promise<void> {
  await page.locator(`[name=${name}]`).fill(text)
  await page.keyboard.press('Enter')
}

for (const [language, locale, colorScheme, viewport, headings] of [
  [
    'English, by the code of the mail',
    'en-GB',
    'light',
    { width: 1280, height: 800 },
    [
      'Reset your password',
      'Check your mail',
      'Choose a new password',
      'Enter your code',
      'Your password has been changed',
    ],
  ],
  [
    'Korean, by its link',
    'ko-KR',
    'dark',
    { width: 375, height: 740 },
    ['비밀번호 재설정', '메일을 확인해 주세요', '새 비밀번호 정하기', '인증 코드 입력', '비밀번호를 바꿨어요'],
  ],
] as const)
  browserTest(
    `a forgotten password is replaced with nothing but a keyboard, and axe-core finds nothing: ${language}`,
    async (t, open) => {
      const server = await start(t)
      const page = await open(server, { locale, colorScheme, viewport })
      const seen: string[] = []
      const complaints: string[] = []
      const look = async () => {
        seen.push((await firstSight(page)).heading)
        complaints.push(...(await violations(page)))
      }
      await page.goto('/login')
      await page.locator('a[href="/login/forgot-password"]').click()
      await page.waitForURL('/login/forgot-password')
      await look()
      await type(page, 'username', 'alice')
      await page.waitForURL('/login/forgot-password/code')
      await look()
      const mail = (await newestMail(server, 'password_reset'))!
      if (locale === 'en-GB') {
        await type(page, 'code', '0000 0000')
        await page.waitForSelector('[aria-invalid=true]')
        complaints.push(...(await violations(page)))
        await type(page, 'code', `${mail.code.slice(0, 4)} ${mail.code.slice(4)}`)
        await page.waitForURL('/mail/password_reset')
      } else await page.goto(mail.path)
      t.is(new URL(page.url()).search, '')
      t.is(await page.evaluate('document.referrer.includes("lkm_") || document.cookie'), '')
      await look()
      t.deepEqual(
        await page.locator('input').evaluateAll(inputs => inputs.map(input => input.getAttribute('autocomplete'))),
        ['username', 'new-password', 'new-password'],
      )
      await page.locator('[name=new_password]').fill(fresh)
      await type(page, 'new_password_repeat', 'another one')
      await page.waitForSelector('[aria-invalid=true]')
      complaints.push(...(await violations(page)))
      t.deepEqual(
        (await typedFields(page)).map(({ value }) => value),
        ['alice', '', ''],
      )
      await page.locator('[name=new_password]').fill(fresh)
      await type(page, 'new_password_repeat', fresh)
      await page.waitForSelector('[name=otp]')
      await look()
      await type(page, 'otp', server.otp())
      await page.waitForURL('/login/forgot-password/done')
      await look()
      t.deepEqual([seen, complaints], [headings, []])
      await page.goBack()
      t.not((await firstSight(page)).path, '/profile')

      // With the next code of the app: that one has been used.
      server.clock.advance(30)
      await page.goto('/login/forgot-password/done')
      await page.locator('main a.main').click()
      await page.locator('[name=username]').fill('alice')
      await type(page, 'password', fresh)
      await page.waitForSelector('[name=otp]')
      await type(page, 'otp', server.otp())
      await page.waitForURL('/profile')
      // The link is over, also for who has it open.
      await page.goto(mail.path)
      t.is((await firstSight(page)).path, '/mail/password_reset')
      t.false(await page.locator('form [name=new_password]').isVisible())
    },
  )
