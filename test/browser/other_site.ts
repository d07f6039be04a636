/** What pages of another site can do to somebody who is signed in here: nothing. OWASP CSRF; the fetch standard. */
import type { ExecutionContext } from 'ava'
import { serve } from '../interop/_discoverable.ts'
import { browserTest, firstSight, type Site, signIn, startSite } from './_chromium.ts'

/** A site of somebody else, at `localhost`, which is another site than 127.0.0.1. @returns its URL */
async function startOtherSite(t: ExecutionContext, { issuer }: Site): Promise<string> {
  const url = await serve(t, (request, response) => {
    response.setHeader('Content-Type', 'text/html')
    if (request.url !== '/') return response.writeHead(204).end()
    response.end(`<!doctype html><html lang="en"><title>Another site</title><link rel="icon" href="data:,">
<a href="${issuer}/logout">a link</a>
<form method="post" action="${issuer}/logout"><button>sign out</button></form>
<form method="post" action="${issuer}/login"><input name="username" value="alice"><input name="password" value="correct horse battery staple"><button>sign in</button></form>
<form method="post" action="${issuer}/profile/sign-out"><input name="scope" value="all"><button>end all</button></form>`)
  })
  return url.replace('127.0.0.1', 'localhost')
}

for (const button of ['sign out', 'sign in', 'end all']) {
  browserTest(`a form of another site to ${button} gets 403 and a page, and changes nothing`, async (t, open) => {
    const server = await startSite(t)
    const other = await startOtherSite(t, server)
    const page = await open(server, { others: [other] })
    await signIn(page)
    const before = await server.deps.storage.listLiveSessions({}, server.clock.now(), 10)
    await page.goto(other)

    const answered = page.waitForResponse(response => response.request().method() === 'POST')
    await page.getByRole('button', { name: button, exact: true }).click()

    t.is((await answered).status(), 403)
    t.regex((await firstSight(page)).heading, /.+/)
    t.deepEqual(await server.deps.storage.listLiveSessions({}, server.clock.now(), 10), before)
    await page.goto('/profile')
    t.is((await firstSight(page)).heading, 'Your account')
  })
}

browserTest('a link of another site to /logout asks first, and the button on that page signs out', async (t, open) => {
  const server = await startSite(t)
  const other = await startOtherSite(t, server)
  const page = await open(server, { others: [other] })
  await signIn(page)
  await page.goto(other)

  await page.getByRole('link', { name: 'a link' }).click()

  t.is((await firstSight(page)).heading, 'Sign out?')
  t.is((await server.deps.storage.listLiveSessions({}, server.clock.now(), 10)).length, 1)
  await page.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
  await page.waitForURL('/logout')
  t.is((await firstSight(page)).heading, 'You are signed out')
  t.deepEqual(await server.deps.storage.listLiveSessions({}, server.clock.now(), 10), [])
})

browserTest(
  'who types the address of /logout is asked first; a link of a page of this site signs out at once',
  async (t, open) => {
    const server = await startSite(t)
    const page = await open(server, { refusals: ['/logout'] })
    const sessions = async () => (await server.deps.storage.listLiveSessions({}, server.clock.now(), 10)).length
    await signIn(page)

    await page.goto('/logout')
    t.deepEqual([(await firstSight(page)).heading, await sessions()], ['Sign out?', 1])
    await page.getByRole('link', { name: 'Stay signed in' }).click()
    await page.waitForURL('/profile')
    // Of the pages of this site the API documentation alone may fetch.
    await page.goto('/docs')
    for (const method of ['GET', 'HEAD']) {
      t.is(await page.evaluate(`fetch('/logout', { method: '${method}' }).then(({ status }) => status)`), 403)
      t.is(await sessions(), 1, method)
    }

    await page.goto('/profile')
    await page.evaluate(`document.body.insertAdjacentHTML('beforeend', '<a href="/logout">leave</a>')`)
    await page.getByRole('link', { name: 'leave' }).click()
    t.deepEqual([(await firstSight(page)).heading, await sessions()], ['You are signed out', 0])
    await page.goBack({ waitUntil: 'commit' })
    await page.waitForURL('/login**')
  },
)

browserTest('no other site can show a page of ours in a frame', async (t, open) => {
  const server = await startSite(t)
  const page = await open(server)
  await signIn(page)
  const { headers } = await server.request('/profile', { headers: { accept: 'text/html' } })
  t.regex(headers.get('location') ?? '', /login/)
  const answer = await page.reload()
  t.regex(answer?.headers()['content-security-policy'] ?? '', /frame-ancestors 'none'/)
  t.is(answer?.headers()['x-frame-options'], 'DENY')
})
