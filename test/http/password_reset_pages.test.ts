/** A forgotten password on pages, over HTTP: who asks for a mail, and who opens its link or gives its code. */
import test, { type ExecutionContext } from 'ava'
import { createResetLink } from '../../src/admin/reset_link.ts'
import { browserAccept, ofPage, stateOf } from '../_cookies.ts'
import { addRecoveryCodes, addTotp } from '../_factors.ts'
import { newestMail, waitingMails } from '../_mails.ts'
import { alertOf, heading, hiddenFields } from '../_pages.ts'
import { type Answer, issuer, password, type ServerOptions, startServerWithAlice } from '../_server.ts'

const fresh = 'seven lamps over the harbour'
const typed = { new_password: fresh, new_password_repeat: fresh }
const forgot = '/login/forgot-password'
const linkPath = '/mail/password_reset'

/** A browser that keeps its cookies. */
async function start(t: ExecutionContext, options: ServerOptions = {}) {
  const server = await startServerWithAlice(t, {
    ...options,
    oauth: { hasMail: true, ...options.oauth },
    throttle: { enabled: false, ...options.throttle },
  })
  const jar = new Map<string, string>()
  function keep(answer: Answer): Answer {
    for (const cookie of answer.headers.getSetCookie()) {
      const [name = '', value = ''] = cookie.split(';')[0]!.split('=')
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    return answer
  }
  const headers = (more: Record<string, string> = {}) => ({
    ...ofPage,
    ...(jar.size > 0 && { cookie: [...jar].map(pair => pair.join('=')).join('; ') }),
    ...more,
  })
  const open = async (path: string, more?: Record<string, string>) =>
    keep(await server.request(path, { headers: headers(more) }))
  const send = async (path: string, params: Record<string, string>, more?: Record<string, string>) =>
    keep(await server.post(path, params, headers(more)))
  /** Opens a link as from a mail, to its page. */
  async function openLink(path: string, more?: Record<string, string>) {
    const moved = await open(path, { 'sec-fetch-site': 'cross-site', ...more })
    t.deepEqual([moved.status, location(moved)], [303, linkPath])
    return open(linkPath, more)
  }
  async function askForLink(username = 'alice') {
    server.clock.advance(1)
    await send(forgot, { username })
    return (await newestMail(server, 'password_reset'))!
  }
  const signInWith = (typed: string) =>
    server.token({ grant_type: 'password', client_id: 'app', username: 'alice', password: typed })
  return { ...server, jar, open, send, openLink, askForLink, signInWith }
}

const location = ({ headers }: Answer) => headers.get('location')

test('from the sign-in to a new password: the page, the mail, its link, the form, and the way to sign in', async t => {
  const server = await start(t)
  const { refresh_token } = await server.signIn()
  t.regex((await server.open('/login')).body, /<a href="\/login\/forgot-password">Forgot your password\?<\/a>/)
  const page = await server.open(forgot)
  t.deepEqual([page.status, heading(page)], [200, 'Reset your password'])
  const asked = await server.send(forgot, { username: 'alice@example.com' })
  t.deepEqual([asked.status, location(asked)], [303, `${forgot}/code`])
  t.is(heading(await server.open(`${forgot}/code`)), 'Check your mail')

  const mail = (await newestMail(server, 'password_reset'))!
  const form = await server.openLink(mail.path)
  t.deepEqual([form.status, heading(form)], [200, 'Choose a new password'])
  t.regex(form.body, /<bdi translate="no">alice<\/bdi>/)
  const done = await server.send(linkPath, typed)
  t.deepEqual([done.status, location(done)], [303, `${forgot}/done`])
  const last = await server.open(`${forgot}/done`)
  t.deepEqual([last.status, heading(last)], [200, 'Your password has been changed'])
  t.regex(last.body, /<a class="button main" href="\/login">Sign in<\/a>/)
  t.is((await server.open('/profile')).status, 303, 'nobody is signed in by it')
  t.is((await server.refresh(refresh_token)).status, 400)
  t.is((await server.signInWith(fresh)).status, 200)

  // A second click, in this browser and in another one.
  const again = await server.openLink(mail.path)
  t.deepEqual([again.status, heading(again)], [410, 'This link no longer works'])
  t.regex(again.body, /href="\/login\/forgot-password">Reset your password</)
  t.is((await server.send(linkPath, typed)).status, 410)
})

test('the code leads to the same form; a wrong one is told, and five end it, for nobody alike', async t => {
  const server = await start(t)
  for (const username of ['nobody', 'alice']) {
    server.clock.advance(1)
    await server.send(forgot, { username })
    const code = (await newestMail(server, 'password_reset'))?.code
    const wrong = code === '00000000' ? '11111111' : '00000000'
    const empty = await server.send(`${forgot}/code`, { code: '' })
    t.deepEqual([empty.status, alertOf(empty)], [400, 'Enter the eight digits that are in the mail.'])
    for (let i = 0; i < 4; i++) {
      const again = await server.send(`${forgot}/code`, { code: wrong })
      t.deepEqual(
        [again.status, heading(again), alertOf(again)],
        [400, 'Check your mail', 'This is not the code of the newest mail that we have sent you.'],
      )
    }
    if (username === 'nobody') {
      const over = await server.send(`${forgot}/code`, { code: wrong })
      t.deepEqual(
        [over.status, alertOf(over)],
        [400, 'That took too long, or too many codes were wrong. Please start again.'],
      )
      t.is(location(await server.open(`${forgot}/code`)), forgot, 'there is nothing to wait for any more')
      t.is(location(await server.send(`${forgot}/code`, { code: wrong })), forgot)
    } else {
      const right = await server.send(`${forgot}/code`, { code: code! })
      t.deepEqual([right.status, location(right)], [303, linkPath])
      t.is(heading(await server.open(linkPath)), 'Choose a new password')
      t.is(location(await server.send(linkPath, typed)), `${forgot}/done`)
    }
  }
  t.is((await server.signInWith(fresh)).status, 200)
  t.deepEqual([...server.jar], [])
})

test('asking looks the same for a user and for nobody, and what is no name is told', async t => {
  const server = await start(t)
  const seen = new Set<string>()
  for (const username of ['alice', 'nobody', 'alice@example.com', 'x@example.com']) {
    const asked = await server.send(forgot, { username })
    const page = await server.open(`${forgot}/code`)
    const [cookie = ''] = asked.headers.getSetCookie()
    seen.add(`${asked.status} ${location(asked)} ${cookie.length} ${page.status} ${page.body}`)
  }
  t.is(seen.size, 1)
  for (const [username, problem] of [
    ['', 'Enter your username or your email address.'],
    ['a'.repeat(255), 'This is longer than any username or email address here.'],
  ] as const) {
    const again = await server.send(forgot, { username })
    t.deepEqual([again.status, heading(again), alertOf(again)], [400, 'Reset your password', problem])
  }
  t.is((await waitingMails(server)).length, 4)
})

test('who asks too often is told how long to wait, whoever that is', async t => {
  const server = await start(t, { throttle: { enabled: true } })
  for (const username of ['alice', 'nobody']) {
    t.is((await server.send(forgot, { username })).status, 303)
    const again = await server.send(forgot, { username })
    t.deepEqual(
      [again.status, again.headers.get('retry-after'), alertOf(again)],
      [429, '60', 'Too many mails were asked for. Try again in 60 seconds.'],
    )
  }
})

test('a scanner that opens the link twenty times changes nothing; the person can do it then', async t => {
  const lines: string[] = []
  const server = await start(t, { onLog: line => lines.push(line) })
  const { path, token, code } = await server.askForLink()
  const before = await stateOf(server)
  for (let i = 0; i < 10; i++) {
    for (const method of ['GET', 'HEAD']) {
      const moved = await server.request(path, { method, headers: { accept: browserAccept } })
      const cookie = moved.headers.getSetCookie()[0]!.split(';')[0]!
      t.is((await server.request(linkPath, { method, headers: { accept: browserAccept, cookie } })).status, 200)
    }
  }
  t.deepEqual(await stateOf(server), before)
  t.is(heading(await server.openLink(path)), 'Choose a new password')
  t.is(location(await server.send(linkPath, typed)), `${forgot}/done`)
  t.is((await server.signInWith(fresh)).status, 200)
  // Promise 6.
  const secrets = [token.slice(0, 30), code, fresh]
  t.deepEqual(
    lines.filter(line => secrets.some(secret => line.includes(secret))),
    [],
  )
})

test('a forged Host leads nobody elsewhere: every way on is a path, and the link in the mail is of the issuer', async t => {
  const server = await start(t)
  const host = { host: 'evil.example', 'x-forwarded-host': 'evil.example' }
  const asked = await server.send(forgot, { username: 'alice' }, host)
  t.is(location(asked), `${forgot}/code`)
  const { path } = (await newestMail(server, 'password_reset'))!
  const form = await server.openLink(path, host)
  t.false(form.body.includes('evil.example'))
  t.deepEqual(
    (await waitingMails(server)).map(mail => JSON.stringify(mail).includes('evil')),
    [false],
  )
})

test('what is wrong with the new password is told on the page, and the link goes on', async t => {
  const server = await start(t)
  await server.openLink((await server.askForLink()).path)
  for (const [params, problem] of [
    [{}, 'Enter a new password.'],
    [{ new_password: fresh }, 'Enter the new password once more.'],
    [{ new_password: fresh, new_password_repeat: 'x' }, 'This is not the same as the new password.'],
    [{ new_password: 'ten letter', new_password_repeat: 'ten letter' }, 'Use at least 15 characters.'],
  ] as const) {
    const again = await server.send(linkPath, params)
    t.deepEqual([again.status, heading(again), alertOf(again)], [400, 'Choose a new password', problem])
  }
  t.is(location(await server.send(linkPath, typed)), `${forgot}/done`)
})

test('the second factor is asked for on its page: a wrong one is told, another kind may be chosen, and five end the step', async t => {
  const server = await start(t)
  const { code: otp } = await addTotp(server, server.aliceId)
  const { codes } = await addRecoveryCodes(server, server.aliceId)
  await server.openLink((await server.askForLink()).path)
  const eight = 'eight letters'
  const asked = await server.send(linkPath, { new_password: eight, new_password_repeat: eight })
  t.deepEqual([asked.status, heading(asked)], [200, 'Enter your code'])
  t.regex(asked.body, /You are setting a new password for <bdi translate="no">alice<\/bdi>/)
  t.regex(asked.body, /action="\/mail\/password_reset"/)
  t.false(asked.body.includes(eight))
  const fields = hiddenFields(asked)
  const wrong = await server.send(linkPath, { ...fields, otp: '000000' })
  t.deepEqual([wrong.status, heading(wrong)], [400, 'Enter your code'])
  const other = await server.send(linkPath, { ...fields, use: 'recovery_code' })
  t.deepEqual([other.status, heading(other)], [200, 'Enter a recovery code'])
  const missing = await server.send(linkPath, { ...fields, recovery_code: '' })
  t.is(missing.status, 400)
  for (let i = 0; i < 3; i++) t.is((await server.send(linkPath, { ...fields, otp: '000000' })).status, 400)
  const over = await server.send(linkPath, { ...fields, otp: '000000' })
  t.deepEqual(
    [over.status, heading(over), alertOf(over)],
    [400, 'Choose a new password', 'That took too long, or too many codes were wrong. Choose a password once more.'],
  )
  t.is((await server.signInWith(eight)).status, 400, 'nothing has changed')
  const once = hiddenFields(await server.send(linkPath, { new_password: eight, new_password_repeat: eight }))
  t.is(location(await server.send(linkPath, { ...once, recovery_code: codes[0]! })), `${forgot}/done`)
  t.is((await server.send(linkPath, { ...once, otp: otp() })).status, 400, 'its cookie is gone')
  t.is((await server.signInWith(eight)).body.error, 'insufficient_authorization')
})

test('the step of another reset, or of a sign-in, is none of this one', async t => {
  const server = await start(t)
  const { code: otp } = await addTotp(server, server.aliceId)
  const bob = await server.addUser({ username: 'bob', email: 'bob@example.com' })
  await addTotp(server, bob)
  await server.openLink((await server.askForLink('bob')).path)
  const ofBob = hiddenFields(await server.send(linkPath, typed))
  await server.openLink((await server.askForLink()).path)
  const asked = await server.send('/login', { username: 'alice', password })
  for (const fields of [ofBob, hiddenFields(asked)]) {
    const refused = await server.send(linkPath, { ...fields, otp: otp() })
    t.deepEqual([refused.status, heading(refused)], [400, 'Choose a new password'])
  }
  const own = hiddenFields(await server.send(linkPath, typed))
  t.is((await server.send('/login', { ...own, otp: otp() })).status, 400, 'and it signs nobody in')
  t.is(location(await server.send(linkPath, { ...own, otp: otp() })), `${forgot}/done`)
})

test('forms of another site change nothing (CSRF)', async t => {
  const server = await start(t)
  await server.openLink((await server.askForLink()).path)
  const elsewhere = { 'sec-fetch-site': 'cross-site' }
  for (const [path, params] of [
    [forgot, { username: 'alice' }],
    [`${forgot}/code`, { code: '12345678' }],
    [linkPath, typed],
  ] as const)
    t.is((await server.send(path, params, elsewhere)).status, 403, path)
  t.is((await waitingMails(server)).length, 1)
  t.is((await server.signInWith(password)).status, 200)
})

test("an operator's link works without mails being sent, and proves no address", async t => {
  const server = await start(t, { oauth: { hasMail: false } })
  const secrets = async () => server.deps.secrets
  const { link } = await createResetLink({ ...server.deps, secrets }, 'alice', issuer, 600, { name: 'operator' })
  t.true(link.startsWith(`${issuer}${linkPath}?token=lkm_`))
  const path = link.slice(issuer.length)
  t.is(heading(await server.openLink(path)), 'Choose a new password')
  t.is(location(await server.send(linkPath, typed)), `${forgot}/done`)
  t.is((await server.deps.storage.findUser(server.aliceId))?.emailVerifiedAt, undefined)
  const [event] = await server.deps.storage.listAuditEvents(1, { type: 'user.password_reset' })
  t.is(event?.detail, 'by the link of an operator')
  const over = await server.openLink(path)
  t.deepEqual([over.status, heading(over)], [410, 'This link no longer works'])
  t.regex(over.body, /<a class="button main" href="\/login">Sign in<\/a>/)
})
