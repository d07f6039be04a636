/** The pages on which people change, copy and delete their account, in both languages, with what axe-core finds on them. */
import { readFileSync } from 'node:fs'
import { password } from '../_server.ts'
import { browserTest, firstSight, startSite } from './_chromium.ts'
import { violations } from './appearance.ts'

for (const [language, options, words] of [
  [
    'English',
    { locale: 'en-GB', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
    {
      saved: 'Your details have been saved.',
      taken: 'This username is taken. Choose another.',
      renamed: 'Your username has been changed. You sign in with the new one from now on.',
      gone: 'Your account is being deleted',
    },
  ],
  [
    'Korean',
    { locale: 'ko-KR', colorScheme: 'dark', viewport: { width: 375, height: 700 } },
    {
      saved: '내 정보를 저장했어요.',
      taken: '이미 쓰이고 있는 아이디예요. 다른 아이디로 정해 주세요.',
      renamed: '아이디를 바꿨어요. 이제 새 아이디로 로그인해 주세요.',
      gone: '계정이 삭제될 예정이에요',
    },
  ],
] as const) {
  browserTest(`a person changes, copies and deletes the account, in ${language}`, async (t, open) => {
    const server = await startSite(t)
    await server.addUser({ username: 'bob' })
    const page = await open(server, options)
    const found: string[] = []
    const look = async () => {
      found.push(...(await violations(page)))
      t.false(await page.evaluate('document.documentElement.scrollWidth > innerWidth'), page.url())
    }
    await page.goto('/login')
    await page.locator('[name=username]').fill('alice')
    await page.locator('[name=password]').fill(password)
    await page.locator('main button.main').click()
    await page.waitForURL('/profile')
    await page.locator('#full-name-act').click()
    await look()
    await page.locator('[name=full_name]').fill('앨리스 A.')
    await page.locator('main form button.main').click()
    t.is((await firstSight(page)).message, words.saved)
    t.is(await page.locator('#full-name-value').innerText(), '앨리스 A.')
    await look()

    await page.locator('#username-act').click()
    await page.locator('[name=username]').fill('BOB')
    await page.locator('main form button.main').click()
    await page.waitForSelector('[aria-invalid=true]')
    t.is(await page.locator('#username-problem').innerText(), words.taken)
    await look()
    await page.locator('[name=username]').fill('alice.k')
    await page.locator('main form button.main').click()
    t.is((await firstSight(page)).message, words.renamed)

    await page.locator('a[href="/profile/export"]').click()
    await look()
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('main form button.main').click()])
    t.is(download.suggestedFilename(), 'account.json')
    const { account } = JSON.parse(readFileSync(await download.path(), 'utf8'))
    t.like(account, { username: 'alice.k', full_name: '앨리스 A.' })
    await page.locator('main a[href="/profile"]').click()
    await page.locator('#language-act').click()

    // The language that is chosen counts from then on, whatever the browser asks for.
    const other = options.locale === 'ko-KR' ? 'en' : 'ko'
    await page.locator('[name=language]').selectOption(other)
    await page.locator('main form button.main').click()
    await page.waitForURL('/profile')
    t.is(await page.evaluate('document.documentElement.lang'), other)
    await page.locator('#language-act').click()
    await page.locator('[name=language]').selectOption('')
    await page.locator('main form button.main').click()
    t.is((await firstSight(page)).message, words.saved)

    await page.locator('a[href="/profile/delete"]').click()
    await look()
    await page.locator('main form.row button').click()
    t.is((await firstSight(page)).heading, words.gone)
    await look()
    t.deepEqual(await page.context().cookies(), [])
    await page.reload()
    t.is(new URL(page.url()).pathname, '/login')
    await t.throwsAsync(server.signIn({ username: 'alice.k' }), { message: /invalid_grant/ })
    t.deepEqual(found, [])
  })
}
