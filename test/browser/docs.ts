/** /docs and /redoc as a developer meets them. That the console is clean and nothing comes from elsewhere is checked for each. */
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
