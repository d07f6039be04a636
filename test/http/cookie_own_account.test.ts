/** The pages on which people change, copy and delete their account, over HTTP. */
import test from 'ava'
import { removeDeletedUsers } from '../../src/accounts/deletion.ts'
import {
  getByCookie,
  isSignedIn,
  leftNotice,
  ofPage,
  postFromPage,
  setCookieValue,
  signInByCookie,
  stateOf,
  withCookie,
} from '../_cookies.ts'
import { addTotp } from '../_factors.ts'
import { heading } from '../_pages.ts'
import { type Answer, refusal, refused, startServerWithAlice, type TestServer } from '../_server.ts'

const open = (server: TestServer, path: string, cookie: string) => getByCookie(server, path, cookie, ofPage)
const location = ({ headers }: Answer) => headers.get('location')
const problem = ({ body }: Answer) => /<p class="problem"[^>]*>([^<]*)</.exec(body)?.[1]
const confirm = (path: string) => `/login/confirm?return_to=${encodeURIComponent(path)}`

test('the account page leads to all of it', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const { body } = await open(server, '/profile', cookie)
  for (const path of ['edit', 'username', 'export', 'delete']) t.true(body.includes(`href="/profile/${path}"`), path)
})

test('name and language change in any session; pages are in that language, whatever the browser asks for', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  server.clock.advance(3600)
  const done = await postFromPage(server, '/profile/edit', { full_name: ' Alice  B. ', language: 'ko' }, cookie)
  t.is(leftNotice(done), 'profile_saved')
  t.like(await server.deps.storage.findUser(server.aliceId), { fullName: 'Alice B.', language: 'ko' })
  const page = await open(server, '/profile/edit', cookie)
  t.deepEqual([heading(page), /<html lang="(\w+)"/.exec(page.body)?.[1]], ['내 정보', 'ko'])
  await postFromPage(server, '/profile/edit', { full_name: '', language: '' }, cookie)
  t.like(await server.deps.storage.findUser(server.aliceId), { fullName: undefined, language: undefined })
  t.is(heading(await open(server, '/profile/edit', cookie)), 'Your details')

  const refusedName = await postFromPage(
    server,
    '/profile/edit',
    { full_name: 'x'.repeat(257), language: 'ko' },
    cookie,
  )
  t.deepEqual([refusedName.status, problem(refusedName)], [400, 'Use at most 256 characters, all of them visible.'])
  t.regex(refusedName.body, /<option value="ko" selected/)
  t.is((await postFromPage(server, '/profile/edit', { language: 'xx' }, cookie)).status, 400)
  t.like(await server.deps.storage.findUser(server.aliceId), { fullName: undefined, language: undefined })
})

for (const path of ['/profile/username', '/profile/export', '/profile/delete']) {
  test(`${path} asks who is signed in to show it anew after ten minutes, or where a factor was not proved (RFC 9470 §3)`, async t => {
    const server = await startServerWithAlice(t)
    const cookie = await signInByCookie(server)
    t.is((await open(server, path, cookie)).status, 200)
    const form = { username: 'carol', when: 'now', sure: 'yes' }
    server.clock.advance(601)
    t.deepEqual(location(await open(server, path, cookie)), confirm(path))
    const before = await stateOf(server)
    t.deepEqual(location(await postFromPage(server, path, form, cookie)), confirm(path))
    const byProgram = await server.post(path, form, withCookie(cookie))
    t.deepEqual(refusal(byProgram), refused(401, 'insufficient_user_authentication'))
    t.deepEqual(await stateOf(server), before)
    const fresh = await signInByCookie(server)
    await addTotp(server, server.aliceId)
    t.deepEqual(location(await open(server, path, fresh)), confirm(path))
    t.deepEqual(location(await postFromPage(server, path, form, fresh)), confirm(path))
    t.is(location(await open(server, path, 'none')), `/login?return_to=${encodeURIComponent(path)}`)
  })
}

test('another username is taken by the page, and what is wrong with one is said at the field', async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  const cookie = await signInByCookie(server)
  for (const [username, status, told] of [
    ['', 400, 'Enter the username that you want.'],
    ['a\u200bb', 400, 'Use at most 128 characters, all of them visible, and no space at either end.'],
    ['BOB', 409, 'This username is taken. Choose another.'],
  ] as const) {
    const answer = await postFromPage(server, '/profile/username', { username }, cookie)
    t.deepEqual([answer.status, problem(answer)], [status, told])
  }
  const done = await postFromPage(server, '/profile/username', { username: ' carol ' }, cookie)
  t.is(leftNotice(done), 'username_changed')
  t.is((await server.deps.storage.findUser(server.aliceId))?.username, 'carol')
  const again = await postFromPage(server, '/profile/username', { username: 'dave' }, cookie)
  t.deepEqual(
    [again.status, problem(again)],
    [429, 'You changed your username a short while ago. You can change it again in 24 hours.'],
  )
})

test('the data come as a file by a form, once a minute', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const file = await postFromPage(server, '/profile/export', {}, cookie)
  t.deepEqual([file.status, file.body.account.username], [200, 'alice'])
  t.is(file.headers.get('content-disposition'), 'attachment; filename="account.json"')
  const again = await postFromPage(server, '/profile/export', {}, cookie)
  t.is(again.status, 429)
  t.regex(again.body, /You downloaded it a moment ago\. Try again in \d+ seconds\./)
})

test('a deletion by the page ends the session of the browser and clears its cookie; what cannot be undone is asked twice', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const page = await open(server, '/profile/delete', cookie)
  t.regex(page.body, /For 90 days nobody else gets your username\./)
  const unsure = await postFromPage(server, '/profile/delete', { when: 'now' }, cookie)
  t.deepEqual([unsure.status, problem(unsure)], [400, 'Tick this to go on.'])
  t.is((await postFromPage(server, '/profile/delete', {}, cookie)).status, 400)
  t.true(await isSignedIn(server, cookie))

  const done = await postFromPage(server, '/profile/delete', { when: 'later' }, cookie)
  t.deepEqual([done.status, heading(done), setCookieValue(done)], [200, 'Your account is being deleted', ''])
  t.regex(done.body, /22 Jan 2027/)
  t.false(await isSignedIn(server, cookie))
  t.is(location(await postFromPage(server, '/profile/delete', { when: 'later' }, cookie)), '/login')
  server.clock.advance(7 * 86_400)
  await removeDeletedUsers({ ...server.deps, now: server.clock.now })
  t.is(await server.deps.storage.findUser(server.aliceId), undefined)
})

test('a deletion at once says that the account is gone, and so it is', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const done = await postFromPage(server, '/profile/delete', { when: 'now', sure: 'yes' }, cookie)
  t.deepEqual([done.status, heading(done), setCookieValue(done)], [200, 'Your account is gone', ''])
  t.is(await server.deps.storage.findUser(server.aliceId), undefined)
})
