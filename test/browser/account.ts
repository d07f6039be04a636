/** The account page: the devices, the password, signing out. */
import type { Page } from 'playwright-core'
import { password, refusal, refused } from '../_server.ts'
import { browserTest, firstSight, signIn, startSite, typedFields } from './_chromium.ts'

const account = { path: '/profile', heading: 'Your account', message: undefined }
const signedOut = { path: '/logout', heading: 'You are signed out', message: undefined }

for (const javaScriptEnabled of [true, false]) {
  browserTest(
    `a device is ended by its button, and its app is signed out${withScript(javaScriptEnabled)}`,
    async (t, open) => {
      const server = await startSite(t)
      const phone = await server.signIn({ device: 'Alice’s phone' })
      server.clock.advance(60)
      const tablet = await server.signIn({ device: 'Alice’s tablet' })
      const page = await open(server, { javaScriptEnabled })
      await signIn(page)
      t.deepEqual(await devices(page), ['Chrome on Linux', 'Alice’s tablet', 'Alice’s phone'])

      await page.getByRole('button', { name: 'Sign out Alice’s phone' }).click()

      t.deepEqual(await firstSight(page), { ...account, message: 'Alice’s phone has been signed out.' })
      t.deepEqual(await devices(page), ['Chrome on Linux', 'Alice’s tablet'])
      // It is said once.
      await page.reload()
      t.deepEqual(await firstSight(page), account)
      t.deepEqual(refusal(await server.refresh(phone.refresh_token)), refused(400, 'invalid_grant'))
      t.is((await server.refresh(tablet.refresh_token)).status, 200)
    },
  )

  browserTest(
    `“Sign out everywhere else” asks first, and ends all but this one${withScript(javaScriptEnabled)}`,
    async (t, open) => {
      const server = await startSite(t)
      const phone = await server.signIn({ device: 'Alice’s phone' })
      const laptop = await open(server)
      await signIn(laptop)
      const page = await open(server, { javaScriptEnabled })
      await signIn(page)

      await page.getByRole('link', { name: 'Sign out everywhere else' }).click()
      t.is((await firstSight(page)).heading, 'Sign out everywhere else?')
      await page.getByRole('link', { name: 'Cancel' }).click()
      t.is((await devices(page)).length, 3)
      await page.getByRole('link', { name: 'Sign out everywhere else' }).click()
      await page.getByRole('button', { name: 'Sign out everywhere else' }).click()

      t.is((await firstSight(page)).message, 'Every other device has been signed out.')
      t.deepEqual(await devices(page), ['Chrome on Linux'])
      t.is((await server.refresh(phone.refresh_token)).status, 400)
      await laptop.reload()
      t.is((await firstSight(laptop)).heading, 'Sign in')
    },
  )

  browserTest(
    `“Sign out everywhere” asks first, and ends this one too${withScript(javaScriptEnabled)}`,
    async (t, open) => {
      const server = await startSite(t)
      const phone = await server.signIn({ device: 'Alice’s phone' })
      const page = await open(server, { javaScriptEnabled })
      await signIn(page)

      await page.getByRole('link', { name: 'Sign out everywhere', exact: true }).click()
      await page.getByRole('button', { name: 'Sign out everywhere' }).click()

      t.deepEqual(await firstSight(page), { ...signedOut, path: '/logout?everywhere' })
      t.deepEqual(await page.context().cookies(), [])
      t.is((await server.refresh(phone.refresh_token)).status, 400)
    },
  )

  browserTest(
    `changing the password ends every other session and says so${withScript(javaScriptEnabled)}`,
    async (t, open) => {
      const server = await startSite(t)
      const phone = await server.signIn({ device: 'Alice’s phone' })
      const laptop = await open(server)
      await signIn(laptop)
      const page = await open(server, { javaScriptEnabled })
      await signIn(page)
      await page.getByRole('link', { name: 'Change Password' }).click()

      await changePassword(page, { current: password, new: '열려라 참깨 열려라 참깨 열려라' })

      const message = 'Your password has been changed, and every other device has been signed out.'
      t.deepEqual(await firstSight(page), { ...account, message })
      t.deepEqual(await devices(page), ['Chrome on Linux'])
      t.deepEqual(refusal(await server.refresh(phone.refresh_token)), refused(400, 'invalid_grant'))
      await laptop.reload()
      t.is((await firstSight(laptop)).heading, 'Sign in')
      await t.throwsAsync(server.signIn(), { message: /invalid_grant/ })
      await signIn(laptop, { password: '열려라 참깨 열려라 참깨 열려라' })
    },
  )

  browserTest(
    `after signing out, Back shows nothing of the person${withScript(javaScriptEnabled)}`,
    async (t, open) => {
      const page = await open(await startSite(t), { javaScriptEnabled })
      await signIn(page)
      await page.goto('/profile/password')
      await page.goto('/profile')

      await signOut(page)

      t.deepEqual(await firstSight(page), signedOut)
      const seen = [await page.locator('body').innerText()]
      for (const _ of ['/profile', '/profile/password', '/profile', '/login']) {
        // A page that the browser has kept whole would come without loading.
        await page.goBack({ waitUntil: 'commit' })
        await page.waitForURL('/login**')
        seen.push(await page.locator('body').innerText())
        t.is((await firstSight(page)).heading, 'Sign in')
      }
      t.notRegex(seen.join(), /alice|Chrome|127\.0\.0\.1/)
    },
  )
}

browserTest('what is wrong with a new password is told beside its field, and nothing has changed', async (t, open) => {
  const server = await startSite(t)
  const page = await open(server)
  await signIn(page)
  await page.goto('/profile/password')
  const hint = 'At least 15 characters. Several words in a row make a strong one.'
  const fine = { value: '', focused: false, invalid: false, description: '' }
  const current = { ...fine, label: 'Current password' }
  const fresh = { ...fine, label: 'New password', description: hint }
  const repeat = { ...fine, label: 'New password, once more' }
  const whose = { ...fine, label: 'Username', value: 'alice' }
  const wrong = { focused: true, invalid: true }

  await changePassword(page, { current: 'wrong', new: 'a fine new password' })
  const notYours = 'This is not your password.'
  t.is((await firstSight(page)).message, `Please check what you typed\n${notYours}`)
  t.deepEqual(await typedFields(page), [whose, { ...current, ...wrong, description: notYours }, fresh, repeat])

  await changePassword(page, { current: password, new: 'PasswordPassword' })
  const common = 'Many people use this password, so it is among the first to be guessed. Choose another.'
  t.is((await firstSight(page)).message, `Please check what you typed\n${common}`)
  t.deepEqual(await typedFields(page), [
    whose,
    current,
    { ...fresh, ...wrong, description: `${hint} ${common}` },
    repeat,
  ])

  await changePassword(page, { current: password, new: 'a fine new password', repeat: 'a fine old password' })
  const different = 'This is not the same as the new password.'
  t.is((await firstSight(page)).message, `Please check what you typed\n${different}`)
  t.deepEqual(await typedFields(page), [whose, current, fresh, { ...repeat, ...wrong, description: different }])
  // The summary leads to the field.
  await page.getByLabel('Current password').focus()
  await page.getByRole('link', { name: different }).click()
  t.true((await typedFields(page))[3]!.focused)

  t.is(typeof (await server.signIn()).access_token, 'string')
})

browserTest('whoever was signed out elsewhere is asked to sign in at the next click', async (t, open) => {
  const server = await startSite(t)
  const page = await open(server)
  await signIn(page)
  const { access_token } = await server.signIn()
  await server.post('/logout?scope=all', {}, server.bearer(access_token))

  await page.getByRole('button', { name: 'Sign out Chrome on Linux' }).click()

  t.deepEqual(await firstSight(page), { path: '/login', heading: 'Sign in', message: undefined })
  t.deepEqual(await page.context().cookies(), [])
})

browserTest('times are those of the person, and in UTC without JavaScript, which says so', async (t, open) => {
  const server = await startSite(t)
  const told = []
  for (const javaScriptEnabled of [true, false]) {
    const page = await open(server, { javaScriptEnabled, timezoneId: 'Asia/Seoul' })
    await signIn(page)
    const time = page.locator('.devices time:not([data-ago])').first()
    const instant = new Date((await time.getAttribute('datetime')) ?? '')
    const zone = javaScriptEnabled ? 'Asia/Seoul' : 'UTC'
    const hour = instant.toLocaleString('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: zone })
    const text = (await time.textContent()) ?? ''
    t.true(text.includes(hour), `${text}: ${hour}`)
    told.push(text.endsWith(' UTC'))
  }
  t.deepEqual(told, [false, true])
})

browserTest(
  'a password can be looked at, and is one again when it is sent (NIST SP 800-63B-4 §3.1.1.2)',
  async (t, open) => {
    const page = await open(await startSite(t))
    await page.goto('/login')
    const input = page.locator('[name=password]')
    await input.fill('as typed')
    await page.getByRole('button', { name: 'Show Password' }).click()
    t.is(await input.getAttribute('type'), 'text')
    await page.evaluate(`document.forms[0].addEventListener('submit', event => event.preventDefault())`)
    await page.getByLabel('Username').fill('alice')
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    t.deepEqual([await input.getAttribute('type'), await input.inputValue()], ['password', 'as typed'])
    const plain = await open(await startSite(t), { javaScriptEnabled: false })
    await plain.goto('/login')
    t.is(await plain.getByRole('button', { name: 'Show' }).count(), 0)
  },
)

browserTest('signing out in one tab signs out in the other', async (t, open) => {
  const page = await open(await startSite(t))
  await signIn(page)
  const other = await page.context().newPage()
  await other.goto('/profile')

  await signOut(page)
  await other.getByRole('link', { name: 'Change Password' }).click()

  t.is((await firstSight(other)).heading, 'Sign in')
})

browserTest('what devices call themselves is text and never markup', async (t, open) => {
  const server = await startSite(t)
  const device = `"><script>alert(1)</script><img src="//evil.example" onerror=alert(1)>`
  await server.signIn({ device })
  const page = await open(server)
  page.on('dialog', dialog => t.fail(dialog.message()))

  await signIn(page)

  t.deepEqual(await devices(page), ['Chrome on Linux', `${device.slice(0, 39)}…`])
})

browserTest('many devices stand on pages of eight, this one first', async (t, open) => {
  const server = await startSite(t)
  for (let i = 0; i < 23; i++) {
    await server.signIn({ device: `device ${i}` })
    server.clock.advance(60)
  }
  const page = await open(server)
  await signIn(page)
  const shown = [await devices(page)]
  for (const name of ['Next', 'Next', 'Previous']) {
    await page.getByRole('link', { name }).click()
    shown.push(await devices(page))
  }
  const range = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, i) => `device ${from - i}`)
  t.deepEqual(shown, [['Chrome on Linux', ...range(22, 16)], range(15, 8), range(7, 0), range(15, 8)])
})

function withScript(javaScriptEnabled: boolean): string {
  return javaScriptEnabled ? '' : ', without JavaScript'
}

function devices(page: Page): Promise<string[]> {
  return page.locator('.devices .name').allInnerTexts()
}

async function signOut(page: Page): Promise<void> {
  await page.getByRole('banner').getByRole('button', { name: 'Sign out' }).click()
  await page.waitForURL('/logout')
}

async function changePassword(page: Page, typed: { current: string; new: string; repeat?: string }): Promise<void> {
  await page.getByLabel('Current password').fill(typed.current)
  await page.getByLabel('New password', { exact: true }).fill(typed.new)
  await page.getByLabel('New password, once more').fill(typed.repeat ?? typed.new)
  await page.getByRole('button', { name: 'Change password' }).click()
}
