/** A second step at the sign-in, as a person adds and uses it: an app, recovery codes, a passkey. */
import type { Page } from 'playwright-core'
import { password } from '../_server.ts'
import { browserTest, countPosts, firstSight, type Site, signIn, startSite, typedFields } from './_chromium.ts'
import { shownCode } from './_factor_pages.ts'
import { addVirtualAuthenticator } from './_virtual_authenticator.ts'

const account = { path: '/profile', heading: 'Your account', message: undefined }
const added = { ...account, message: 'Your second step has been added.' }

for (const javaScriptEnabled of [true, false]) {
  const without = javaScriptEnabled ? '' : ', without JavaScript'
  browserTest(`an app is added by its picture, and asked for at the next sign-in${without}`, async (t, open) => {
    const server = await startSite(t)
    const page = await open(server, { javaScriptEnabled })
    await signIn(page)
    const { code } = await addApp(page, server)
    t.deepEqual(await firstSight(page), added)
    t.deepEqual(await factors(page), ['Authenticator app', 'Recovery codes'])

    await signOut(page)
    server.clock.advance(30)
    await givePassword(page)
    t.deepEqual(await firstSight(page), { path: '/login', heading: 'Enter your code', message: undefined })
    t.deepEqual(
      (await typedFields(page)).map(({ label, focused }) => [label, focused]),
      [['Six-digit code', true]],
    )
    await page.keyboard.type(code())
    await page.keyboard.press('Enter')
    await page.waitForURL('/profile')
    t.deepEqual(await firstSight(page), account)
  })

  browserTest(`who has lost the phone signs in by a recovery code, each once${without}`, async (t, open) => {
    const server = await startSite(t)
    const page = await open(server, { javaScriptEnabled })
    await signIn(page)
    const { codes } = await addApp(page, server)
    t.is(codes.length, 10)
    for (const [code, isGood] of [
      [codes[0]!, true],
      [codes[0]!, false],
      [codes[9]!, true],
    ] as const) {
      await page.context().clearCookies()
      await givePassword(page)
      await page.getByRole('button', { name: 'Use a recovery code' }).click()
      t.is((await firstSight(page)).heading, 'Enter a recovery code')
      await page.getByLabel('Recovery code').fill(code)
      await page.getByRole('button', { name: 'Continue' }).click()
      if (isGood) await page.waitForURL('/profile')
      else t.regex((await firstSight(page)).message ?? '', /This is none of the recovery codes that you have left\./)
    }
  })
}

browserTest(
  'a wrong code is told, the page goes on, and the way back in the browser sends nothing again',
  async (t, open) => {
    const server = await startSite(t)
    const page = await open(server)
    await signIn(page)
    const { code } = await addApp(page, server)
    await signOut(page)
    server.clock.advance(30)
    const posts = countPosts(page)
    await page.goto('/login?return_to=/profile/password')
    await givePassword(page, { goes: false })
    await page.getByLabel('Six-digit code').fill('000000')
    await page.getByRole('button', { name: 'Continue' }).click()
    const problem = 'This code is wrong, or it has been used. Wait for the next one and enter that.'
    t.is((await firstSight(page)).message, `Please check what you typed\n${problem}`)
    await page.getByLabel('Six-digit code').fill(code())
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.waitForURL('/profile/password')
    t.is(posts(), 3)

    await page.goBack()
    await page.waitForURL('/profile')
    await page.reload()
    t.deepEqual([await firstSight(page), posts()], [account, 3])
  },
)

browserTest('recovery codes are copied, and are gone when the page is loaded again', async (t, open) => {
  const server = await startSite(t, 'localhost')
  const page = await open(server, { permissions: ['clipboard-read', 'clipboard-write'] })
  await signIn(page)
  const { codes } = await addApp(page, server, { goesOn: false })
  await page.getByRole('button', { name: 'Copy' }).click()
  await page.getByRole('button', { name: 'Copied' }).waitFor()
  t.deepEqual((await page.evaluate<string>('navigator.clipboard.readText()')).split('\n'), codes)
  t.true(await page.getByRole('button', { name: 'Print' }).isVisible())

  await page.reload()
  t.deepEqual(await firstSight(page), added)
  t.false(codes.some(code => page.url().includes(code)))
})

browserTest(
  'a sign-in of long ago is asked for the code before a factor is removed, and goes on from there',
  async (t, open) => {
    const server = await startSite(t)
    const page = await open(server)
    await signIn(page)
    const { code } = await addApp(page, server)
    server.clock.advance(601)

    await page.getByRole('link', { name: 'Manage Authenticator app' }).click()
    t.is((await firstSight(page)).heading, 'Enter your code')
    await page.getByLabel('Six-digit code').fill(code())
    await page.getByRole('button', { name: 'Continue' }).click()
    t.is((await firstSight(page)).heading, 'Authenticator app')
    await page.getByLabel('Name').fill('Old phone')
    await page.getByRole('button', { name: 'Rename' }).click()
    t.is((await firstSight(page)).message, 'The name has been changed.')
    await page.getByRole('link', { name: 'Manage Authenticator app Old phone' }).click()
    await page.getByRole('button', { name: 'Remove' }).click()
    t.is((await firstSight(page)).message, 'It has been removed.')
    t.deepEqual(await factors(page), [])
    await signOut(page)
    await signIn(page)
  },
)

browserTest('a passkey is made on the account page, and signs in by its button without a name', async (t, open) => {
  const server = await startSite(t, 'localhost')
  const page = await open(server)
  const authenticator = await addVirtualAuthenticator(page)
  await signIn(page)
  await addPasskey(page)
  t.deepEqual(await factors(page), ['Passkey', 'Recovery codes'])

  await authenticator.attend(false)
  await signOut(page)
  await page.goto('/login?return_to=/profile/password')
  await authenticator.recognise(true)
  const button = page.getByRole('button', { name: 'Sign in with a passkey' })
  await button.waitFor()
  await authenticator.attend(true)
  await button.click()
  await page.waitForURL('/profile/password')
})

browserTest(
  'the browser offers a passkey at the field of the username (conditional mediation, WebAuthn §5.1.4)',
  async (t, open) => {
    const server = await startSite(t, 'localhost')
    const page = await open(server)
    await addVirtualAuthenticator(page)
    await signIn(page)
    await addPasskey(page)
    await signOut(page)
    // The person picks what is offered as soon as it is: nothing is clicked here.
    await page.goto('/login')
    await page.waitForURL('/profile')
    t.deepEqual(await firstSight(page), account)
  },
)

browserTest(
  'beside a password a passkey is the second step, and one that is not recognised says so',
  async (t, open) => {
    const server = await startSite(t, 'localhost')
    const page = await open(server)
    const authenticator = await addVirtualAuthenticator(page)
    await signIn(page)
    await addPasskey(page)
    await authenticator.attend(false)
    await signOut(page)
    await givePassword(page)
    t.is((await firstSight(page)).heading, 'Use your passkey')
    const button = page.getByRole('button', { name: 'Use a passkey' })
    await authenticator.recognise(false)
    await authenticator.attend(true)
    await button.click()
    await page.getByText('That did not work. Try again.').waitFor()
    await authenticator.recognise(true)
    await button.click()
    await page.waitForURL('/profile')
    t.deepEqual(await firstSight(page), account)
  },
)

browserTest('a browser that knows no passkeys is offered none, and signs in as ever', async (t, open) => {
  const server = await startSite(t, 'localhost')
  const page = await open(server)
  await page.addInitScript('delete globalThis.PublicKeyCredential')
  await page.goto('/login')
  t.false(await page.getByText('passkey').first().isVisible())
  await signIn(page)
  await page.goto('/profile/factors?kind=passkey')
  t.true(await page.getByText('This browser cannot make passkeys here.').isVisible())
  t.false(await page.getByText('Make a passkey').isVisible())
})

/** Adds an app on the account page. @returns what the phone shows, and the recovery codes */
async function addApp(page: Page, server: Site, { goesOn = true } = {}) {
  await page.getByRole('link', { name: 'Add an authenticator app' }).click()
  const code = await shownCode(page, server)
  await page.getByLabel('Six-digit code').fill(code())
  await page.getByRole('button', { name: 'Add it' }).click()
  await page.getByRole('heading', { name: 'Your recovery codes' }).waitFor()
  const codes = await page.locator('.codes code').allInnerTexts()
  if (goesOn) await page.getByRole('link', { name: 'I have kept them' }).click()
  return { code, codes }
}

async function addPasskey(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Add a passkey' }).click()
  await page.getByRole('button', { name: 'Make a passkey' }).click()
  await page.getByRole('link', { name: 'I have kept them' }).click()
}

async function givePassword(page: Page, { goes = true } = {}): Promise<void> {
  if (goes) await page.goto('/login')
  await page.getByLabel('Username').fill('alice')
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

async function signOut(page: Page): Promise<void> {
  await page.getByRole('banner').getByRole('button', { name: 'Sign out' }).click()
  await page.waitForURL('/logout')
}

/** What the account page has of second steps. */
function factors(page: Page): Promise<string[]> {
  return page.locator('[id^=factor][id$=-label]').allInnerTexts()
}
