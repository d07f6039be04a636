/** /docs and /redoc as a developer meets them. That the console is clean and nothing comes from elsewhere is checked for each. */
import type { Page } from 'playwright-core'
import { password } from '../_server.ts'
import { browserTest, startSite } from './_chromium.ts'

for (const colorScheme of ['light', 'dark'] as const) {
  browserTest(
    `/docs: Authorize with a password, then Try it out answers who that is (${colorScheme})`,
    async (t, open) => {
      const server = await startSite(t)
      const page = await open(server, { colorScheme })
      await page.goto('/docs')
      await page.getByRole('button', { name: 'Authorize' }).first().click()
      const dialog = page.locator('.modal-ux .auth-container', { has: page.locator('#oauth_username') })
      t.is(await dialog.locator('#client_id_password').inputValue(), 'app')
      await dialog.locator('#oauth_username').fill('alice')
      await dialog.locator('#oauth_password').fill(password)
      await dialog.getByRole('button', { name: 'Apply given OAuth2 credentials' }).click()
      await page.locator('.modal-ux').getByRole('button', { name: 'Remove authorization' }).waitFor()
      await page.getByRole('button', { name: 'Close' }).first().click()

      const operation = page.locator('#operations-User-me')
      await operation.locator('.opblock-summary-control').click()
      await operation.getByRole('button', { name: 'Try it out' }).click()
      await operation.getByRole('button', { name: 'Execute' }).click()

      const answer = operation.locator('.live-responses-table')
      await answer.waitFor()
      t.regex(await answer.innerText(), /200/)
      t.regex(await answer.locator('.highlight-code').first().innerText(), /"username": "alice"/)
      t.deepEqual(
        (await server.deps.storage.listLiveSessions({}, server.clock.now(), 10)).map(({ clientId }) => clientId),
        ['app'],
      )
    },
  )
}

browserTest('/docs: a wrong password is refused in the dialog', async (t, open) => {
  const server = await startSite(t)
  // The refusal of the token request is told in the console as well.
  const page = await open(server, { refusals: ['/token'] })
  await page.goto('/docs')
  await page.getByRole('button', { name: 'Authorize' }).first().click()
  const dialog = page.locator('.modal-ux .auth-container', { has: page.locator('#oauth_username') })
  await dialog.locator('#oauth_username').fill('alice')
  await dialog.locator('#oauth_password').fill('wrong')
  await dialog.getByRole('button', { name: 'Apply given OAuth2 credentials' }).click()

  await dialog.locator('.errors').waitFor()

  t.regex(await dialog.locator('.errors').innerText(), /wrong/)
})

const wrongClients = {
  'a client that is not there': { id: 'nobody', secret: '' },
  'a wrong secret in the form': { id: 'web', secret: 'lks_wrong', inForm: true },
  'a wrong secret in the header': { id: 'web', secret: 'lks_wrong' },
}

for (const [what, { id, secret, inForm }] of Object.entries<{ id: string; secret: string; inForm?: boolean }>(
  wrongClients,
)) {
  browserTest(
    `/docs: ${what} is told in the dialog of the page, and the browser opens none of its own`,
    async (t, open) => {
      const server = await startSite(t)
      await server.addClient({ id: 'web', secret: 'lks_secret' })
      const page = await open(server, { refusals: ['/token'] })
      const dialogs = await countPasswordDialogs(page)
      const bodies: (string | null)[] = []
      page.on('request', request => request.method() === 'POST' && bodies.push(request.postData()))
      await page.goto('/docs')
      await page.getByRole('button', { name: 'Authorize' }).first().click()
      const dialog = page.locator('.modal-ux .auth-container', { has: page.locator('#oauth_username') })
      await dialog.locator('#oauth_username').fill('alice')
      await dialog.locator('#oauth_password').fill(password)
      if (inForm) await dialog.locator('#password_type').selectOption('request-body')
      await dialog.locator('#client_id_password').fill(id)
      await dialog.locator('#client_secret_password').fill(secret)
      await dialog.getByRole('button', { name: 'Apply given OAuth2 credentials' }).click()

      await dialog.locator('.errors').waitFor()

      t.is(dialogs(), 0)
      t.is(bodies.length, 1)
      t.is(new URLSearchParams(bodies[0] ?? '').get('client_id'), secret !== '' && !inForm ? null : id)
    },
  )
}

browserTest('the browser would open a dialog at a challenge that a page fetches', async (t, open) => {
  const server = await startSite(t)
  const page = await open(server, { refusals: ['/token'] })
  const dialogs = await countPasswordDialogs(page)
  await page.goto('/docs')
  await page.evaluate(
    `fetch('/token', { method: 'POST', body: new URLSearchParams({ grant_type: 'password', username: 'x', password: 'x' }), headers: { authorization: 'Basic ' + btoa('web:x') } })`,
  )
  t.is(dialogs(), 1)
  await page.evaluate(
    `fetch('/token', { method: 'POST', body: new URLSearchParams({ grant_type: 'password', username: 'x', password: 'x', client_id: 'web' }) })`,
  )
  t.is(dialogs(), 1)
})

/** @returns how many times until now the browser wanted to ask for a password itself, which is answered with Cancel */
async function countPasswordDialogs(page: Page): Promise<() => number> {
  const session = await page.context().newCDPSession(page)
  let dialogs = 0
  session.on('Fetch.authRequired', ({ requestId }) => {
    dialogs++
    session
      .send('Fetch.continueWithAuth', { requestId, authChallengeResponse: { response: 'CancelAuth' } })
      .catch(() => {})
  })
  session.on('Fetch.requestPaused', ({ requestId }) => {
    session.send('Fetch.continueRequest', { requestId }).catch(() => {})
  })
  await session.send('Fetch.enable', { handleAuthRequests: true })
  return () => dialogs
}

browserTest('/redoc shows every endpoint, and no picture is broken', async (t, open) => {
  const server = await startSite(t)
  const page = await open(server)
  await page.goto('/redoc')
  await page.getByRole('heading', { name: /^Latchkey/ }).waitFor()

  const document = (await server.request('/openapi.json')).body
  const summaries = Object.values<Record<string, { summary: string }>>(document.paths).flatMap(methods =>
    Object.values(methods).map(({ summary }) => summary),
  )
  for (const summary of new Set(summaries)) {
    await page.getByRole('heading', { name: summary }).first().waitFor({ state: 'attached' })
  }
  const broken = await page.evaluate(
    `[...document.images].filter(image => image.complete && image.naturalWidth === 0 && image.offsetParent !== null).map(image => image.src)`,
  )
  t.deepEqual(broken, [])
  t.true(summaries.length > 20)
})
