/** Signing up, as a person does it: the address, the code of the mail, a username and a password. Each page is looked at by axe-core. */
import type { Page } from 'playwright-core'
import { waitingMails } from '../_mails.ts'
import { address, chosen, codeOf, tokenOf } from '../_sign_up.ts'
import { startDiscoverable } from '../interop/_discoverable.ts'
import { browserTest, firstSight, typedFields } from './_chromium.ts'
import { violations } from './appearance.ts'

const oauth = { hasMail: true, signUp: true }

for (const [language, locale, colorScheme, viewport, titles] of [
  [
    'English',
    'en-GB',
    'light',
    { width: 1280, height: 800 },
    ['Create an account', 'Check your mail', 'Create your account', 'Your account'],
  ],
  [
    'Korean',
    'ko-KR',
    'dark',
    { width: 375, height: 740 },
    ['회원가입', '메일을 확인해 주세요', '계정 만들기', '내 계정'],
  ],
] as const)
  browserTest(
    `an account is made with nothing but a keyboard, and axe-core finds nothing: ${language}`,
    async (t, open) => {
      const server = await startDiscoverable(t, { oauth })
      const page = await open(server, { locale, colorScheme, viewport })
      const seen: string[] = []
      const complaints: string[] = []
      const look = async () => {
        seen.push((await firstSight(page)).heading)
        complaints.push(...(await violations(page)))
      }
      await page.goto('/login')
      await page.locator('a[href="/login/sign-up"]').click()
      await page.waitForURL('/login/sign-up')
      await look()
      await type(page, 'email', address)
      await page.waitForURL('/login/sign-up/code')
      await look()
      const [mail] = await waitingMails(server)
      await type(page, 'code', codeOf(server, mail!))
      await page.waitForURL('/mail/sign_up')
      await look()
      t.deepEqual(
        await page.locator('input').evaluateAll(inputs => inputs.map(input => input.getAttribute('autocomplete'))),
        ['username', 'name', 'new-password'],
      )
      // What the browser itself would not send.
      await page.evaluate("document.querySelector('main form').noValidate = true")
      await page.locator('[name=username]').fill('alice')
      await page.locator('[name=password]').fill('short')
      await page.keyboard.press('Enter')
      await page.waitForSelector('[aria-invalid=true]')
      complaints.push(...(await violations(page)))
      t.deepEqual(
        (await typedFields(page)).map(({ value, invalid }) => [value, invalid]),
        [
          ['alice', false],
          ['', false],
          ['', true],
        ],
      )
      await page.locator('[name=username]').fill(chosen.username)
      await type(page, 'password', chosen.password)
      await page.waitForURL('/profile')
      seen.push((await firstSight(page)).heading)
      t.deepEqual(seen, titles)
      t.deepEqual(complaints, [])
    },
  )

browserTest(
  'the link of an invitation leads to a form that is filled in, and afterwards says that it is done',
  async (t, open) => {
    const server = await startDiscoverable(t)
    const page = await open(server)
    const about = { username: 'erin', full_name: 'Erin' }
    const mail = {
      id: 'A'.repeat(22),
      purpose: 'invitation',
      address,
      about,
      createdAt: 0,
      nextAttemptAt: 0,
      attempts: 0,
    } as const
    const link = `/mail/invitation?token=${tokenOf(server, mail)}`
    await page.goto(link)
    await page.waitForURL('/mail/invitation')
    t.deepEqual(
      (await typedFields(page)).map(({ value, focused }) => [value, focused]),
      [
        ['erin', false],
        ['Erin', false],
        ['', true],
      ],
    )
    await type(page, 'password', chosen.password)
    await page.waitForURL('/profile')
    await page.goto(link)
    t.is((await firstSight(page)).heading, 'You have an account')
    t.deepEqual(await violations(page), [])
  },
)

/** Into a field, and sends the form. */
async function type(page: Page, name: string, text: string): Promise<void> {
  await page.locator(`[name=${name}]`).fill(text)
  await page.keyboard.press('Enter')
}
