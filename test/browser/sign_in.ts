/** Signing in, as a person does it. */
import { cookieName } from '../../src/http/browser/cookies.ts'
import { password } from '../_server.ts'
import { browserTest, countPosts, firstSight, signIn, startSite, typedFields } from './_chromium.ts'

browserTest('signing in needs nothing but a keyboard', async (t, open) => {
  const page = await open(await startSite(t))
  await page.goto('/login')

  await page.locator('[name=username]:focus').waitFor()
  await page.keyboard.type('alice')
  await page.keyboard.press('Tab')
  await page.keyboard.type(password)
  await page.keyboard.press('Enter')

  await page.waitForURL('/profile')
  t.deepEqual(await firstSight(page), { path: '/profile', heading: 'Your account', message: undefined })
  t.deepEqual(await page.locator('.devices .name').allInnerTexts(), ['Chrome on Linux'])
})

browserTest(
  'a wrong password is said above the form; the username stays, the password is to be typed anew',
  async (t, open) => {
    const page = await open(await startSite(t))
    await page.goto('/login')
    await page.getByLabel('Username').fill('alice')
    await page.getByLabel('Password').fill('wrong')

    await page.getByRole('button', { name: 'Sign in' }).click()

    await page.waitForURL('/login')
    const message = 'The username or password is wrong.'
    t.deepEqual(await firstSight(page), { path: '/login', heading: 'Sign in', message })
    t.is(await page.title(), 'Problem: Sign in – Latchkey')
    t.deepEqual(await typedFields(page), [
      { label: 'Username', value: 'alice', focused: false, invalid: true, description: message },
      { label: 'Password', value: '', focused: true, invalid: true, description: message },
    ])
    t.deepEqual(await page.context().cookies(), [])
  },
)

browserTest(
  'a username that is too long is told beside its field, which keeps it, and has the focus',
  async (t, open) => {
    const page = await open(await startSite(t))
    const username = `<b>"alice'${'é'.repeat(250)}`
    await page.goto('/login')
    await page.getByLabel('Username').fill(username)
    await page.getByLabel('Password').fill(password)

    await page.getByRole('button', { name: 'Sign in' }).click()

    const problem = 'This is longer than any username here.'
    const message = `Please check what you typed\n${problem}`
    t.deepEqual(await firstSight(page), { path: '/login', heading: 'Sign in', message })
    t.deepEqual(await typedFields(page), [
      { label: 'Username', value: username, focused: true, invalid: true, description: problem },
      { label: 'Password', value: '', focused: false, invalid: false, description: '' },
    ])
  },
)

browserTest('nothing is sent while a field is empty', async (t, open) => {
  const page = await open(await startSite(t))
  const posts = countPosts(page)
  await page.goto('/login')
  await page.getByLabel('Username').fill('alice')

  await page.getByRole('button', { name: 'Sign in' }).click()

  const focused = (await typedFields(page)).filter(field => field.focused)
  t.deepEqual([focused.map(({ label }) => label), posts()], [['Password'], 0])
})

browserTest('Back and Reload after signing in send no password again', async (t, open) => {
  const page = await open(await startSite(t))
  const posts = countPosts(page)
  await signIn(page)

  await page.reload()
  t.deepEqual(await firstSight(page), { path: '/profile', heading: 'Your account', message: undefined })
  // Who is signed in is not asked to sign in.
  await page.goBack()
  t.deepEqual(await firstSight(page), { path: '/profile', heading: 'Your account', message: undefined })
  t.is(posts(), 1)
})

browserTest(
  'who asks for a page of their own signs in first and goes on to it, by way of a wrong password',
  async (t, open) => {
    const page = await open(await startSite(t))

    await page.goto('/profile/password')

    const path = '/login?return_to=%2Fprofile%2Fpassword'
    t.deepEqual(await firstSight(page), { path, heading: 'Sign in', message: 'Sign in to go on to that page.' })
    for (const typed of ['wrong', password]) {
      await page.getByLabel('Username').fill('alice')
      await page.getByLabel('Password').fill(typed)
      await page.getByRole('button', { name: 'Sign in' }).click()
    }
    await page.waitForURL('/profile/password')
    t.is((await firstSight(page)).heading, 'Change password')
  },
)

for (const [title, returnTo] of Object.entries({
  'the URL of another site': 'https://evil.example/',
  'a URL without a scheme': '//evil.example/',
  'a URL that browsers mend into one of another site': '/\\evil.example/',
  'a path that leaves this site by dots': '/..//evil.example/',
  'a script': 'javascript:alert(1)',
  'signing out': '/logout',
})) {
  browserTest(`a return_to that is ${title} leads nowhere else`, async (t, open) => {
    const server = await startSite(t)
    const page = await open(server)
    await page.goto(`/login?return_to=${encodeURIComponent(returnTo)}`)
    await page.getByLabel('Username').fill('alice')
    await page.getByLabel('Password').fill(password)

    await page.getByRole('button', { name: 'Sign in' }).click()

    await page.waitForURL(url => url.pathname !== '/login')
    t.is(new URL(page.url()).origin, server.issuer)
    await page.goto('/profile')
    t.is((await firstSight(page)).heading, 'Your account')
  })
}

browserTest('no script reads the cookie, and no other site sends it along', async (t, open) => {
  const server = await startSite(t)
  const page = await open(server)

  await signIn(page)

  t.is(await page.evaluate('document.cookie'), '')
  const name = cookieName(server.issuer)
  t.like(await page.context().cookies(), [{ name, path: '/', httpOnly: true, sameSite: 'Lax' }])
})

browserTest('signing in anew replaces the cookie and ends the session before', async (t, open) => {
  const page = await open(await startSite(t))
  await signIn(page)
  const [before] = await page.context().cookies()
  await page.getByRole('button', { name: 'Sign out', exact: true }).first().click()

  await signIn(page)

  const [after] = await page.context().cookies()
  t.not(after!.value, before!.value)
  await page.context().addCookies([before!])
  await page.goto('/profile')
  t.is((await firstSight(page)).heading, 'Sign in')
})
