/** Signing up on the pages, and invitations: what comes between the address and the account. */
import test from 'ava'
import { cookieName } from '../../src/http/browser/cookies.ts'
import { browserAccept, liveSessions, ofPage, stateOf } from '../_cookies.ts'
import { waitingMails } from '../_mails.ts'
import { alertOf, heading } from '../_pages.ts'
import { type Answer, issuer, startServer, type TestServer } from '../_server.ts'
import { address, chosen, codeOf, startSignUp, tokenOf } from '../_sign_up.ts'

/** A browser that keeps its cookies. */
function createBrowser({ request }: Pick<TestServer, 'request'>, headers: Record<string, string> = {}) {
  const jar = new Map<string, string>()
  const send = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await request(path, {
      ...init,
      headers: { ...ofPage, ...headers, ...(cookie !== '' && { cookie }), ...init.headers },
    })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    return answer
  }
  return {
    jar,
    send,
    post: (path: string, params: Record<string, string>) =>
      send(path, { method: 'POST', body: new URLSearchParams(params) }),
    /** Goes where an answer leads. */
    async follow(answer: Answer): Promise<Answer> {
      const path = answer.headers.get('location')
      return path === null ? answer : await send(path)
    },
  }
}

const sessionCookie = cookieName(issuer)
const korean = { 'accept-language': 'ko' }

for (const [language, headers] of [
  ['en', {}],
  ['ko', korean],
] as const)
  test(`address, code, username and password, and the person is signed in, in the language of the pages: ${language}`, async t => {
    const server = await startSignUp(t)
    const browser = createBrowser(server, headers)
    t.is((await browser.send('/login/sign-up')).status, 200)
    const sent = await browser.post('/login/sign-up', { email: address })
    t.is(sent.status, 303)
    t.is((await browser.follow(sent)).status, 200)
    const [mail] = await waitingMails(server)
    t.is(mail?.language, language)
    const wrong = await browser.post('/login/sign-up/code', { code: '1' })
    t.is(wrong.status, 400)
    t.not(alertOf(wrong), '')

    const proved = await browser.post('/login/sign-up/code', { code: codeOf(server, mail!) })
    t.deepEqual([proved.status, proved.headers.get('location')], [303, '/mail/sign_up'])
    t.is((await browser.follow(proved)).status, 200)
    t.deepEqual(await server.deps.storage.listUsers(), [])
    const made = await browser.post('/mail/sign_up', { ...chosen, full_name: 'Erin' })

    t.deepEqual([made.status, made.headers.get('location')], [303, '/profile'])
    t.deepEqual([...browser.jar.keys()], [sessionCookie], 'nothing of the proof is kept')
    t.is((await browser.send('/profile', { headers: { accept: 'application/json' } })).body.username, 'erin')
    t.like((await server.deps.storage.listUsers())[0], { email: address, fullName: 'Erin', language })
    t.deepEqual(
      (await liveSessions(server)).map(({ amr }) => amr),
      [['pwd']],
    )
  })

test('what looks at mails may open the link twenty times: nothing changes, and the person makes the account then', async t => {
  const server = await startSignUp(t)
  const person = createBrowser(server)
  await person.post('/login/sign-up', { email: address })
  const [mail] = await waitingMails(server)
  const path = `/mail/sign_up?token=${tokenOf(server, mail!)}`
  const before = await stateOf(server)
  for (let i = 0; i < 20; i++) {
    const scanner = createBrowser(server, { 'sec-fetch-site': 'cross-site' })
    const opened = await scanner.send(path, { method: i % 2 === 0 ? 'GET' : 'HEAD' })
    t.is(opened.status, 303)
    if (i % 2 === 0) t.is((await scanner.follow(opened)).status, 200)
    // Some try what there is to be sent.
    if (i % 5 === 0) t.is((await scanner.post('/mail/sign_up', {})).status, 403)
  }
  t.deepEqual(await stateOf(server), before)

  t.is((await person.follow(await person.send(path))).status, 200)
  t.is((await person.post('/mail/sign_up', chosen)).status, 303)
  const again = createBrowser(server)
  const second = await again.follow(await again.send(path))
  t.deepEqual([second.status, heading(second)], [200, 'You have an account'])
  t.is((await again.post('/mail/sign_up', { ...chosen, username: 'other' })).status, 200)
  t.is((await server.deps.storage.listUsers()).length, 1)
})

test('each rule that something breaks is told beside its field, and what was typed is there again but for the password', async t => {
  const server = await startSignUp(t)
  await server.addUser()
  const browser = createBrowser(server)
  await browser.post('/login/sign-up', { email: address })
  const [mail] = await waitingMails(server)
  await browser.send(`/mail/sign_up?token=${tokenOf(server, mail!)}`)
  const refused = await browser.post('/mail/sign_up', {
    username: 'bob@example.com',
    full_name: `<b>${'x'.repeat(300)}`,
    password: 'short one',
  })
  t.is(refused.status, 400)
  for (const text of [
    'This is an email address, and not the one that you have shown to be yours.',
    'This has a character that cannot be in a name, or is too long.',
    'Use at least 15 characters.',
    'value="bob@example.com"',
    'value="&lt;b&gt;xx',
  ])
    t.true(refused.body.includes(text), text)
  t.false(refused.body.includes('short one'))
  const taken = await browser.post('/mail/sign_up', { ...chosen, username: 'alice' })
  t.deepEqual([taken.status, alertOf(taken)], [409, 'This username is taken. Choose another.'])
  t.is((await browser.post('/mail/sign_up', {})).status, 400)
  t.is((await browser.post('/mail/sign_up', chosen)).status, 303)
})

test('the page of an address tells what is wrong with it and how long to wait, whether it has an account or not', async t => {
  const server = await startSignUp(t)
  await server.addUser({ email: address })
  const browser = createBrowser(server)
  t.is(alertOf(await browser.post('/login/sign-up', {})), 'Enter your email address.')
  t.is(
    alertOf(await browser.post('/login/sign-up', { email: 'a@b.example, c@d.example' })),
    'This is not one email address.',
  )
  for (const email of [address, 'fred@example.com']) {
    t.is((await browser.post('/login/sign-up', { email })).status, 303)
    const later = await browser.post('/login/sign-up', { email })
    t.deepEqual([later.status, alertOf(later)], [429, 'Too many mails were asked for. Try again in 60 seconds.'])
  }
  t.is((await browser.send('/sign-up')).headers.get('location'), '/login/sign-up')
})

test('a form of another site signs nobody up, and makes no mail (CSRF)', async t => {
  const server = await startSignUp(t)
  const evil = createBrowser(server, { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' })
  t.is((await evil.post('/login/sign-up', { email: address })).status, 403)
  t.is((await evil.post('/login/sign-up/code', { code: '12345678' })).status, 403)
  t.deepEqual(await waitingMails(server), [])
})

test('where a second factor is demanded, it is set up before anybody is signed in', async t => {
  const server = await startSignUp(t, { oauth: { requireFactor: 'all' } })
  const browser = createBrowser(server)
  await browser.post('/login/sign-up', { email: address })
  const [mail] = await waitingMails(server)
  await browser.send(`/mail/sign_up?token=${tokenOf(server, mail!)}`)
  const made = await browser.post('/mail/sign_up', chosen)
  t.deepEqual([made.status, heading(made)], [200, 'Add a second step'])
  t.deepEqual(await liveSessions(server), [])
  t.is((await server.deps.storage.listUsers()).length, 1)
})

test('where signing up is off there is no page for it, and links that are out lead to nothing; an invitation goes on', async t => {
  const server = await startSignUp(t, { oauth: { signUp: false } })
  for (const [path, status] of [
    ['/sign-up', 405],
    ['/login/sign-up', 404],
  ] as const)
    t.is((await server.request(path, { headers: ofPage })).status, status)
  const mail = { id: 'A'.repeat(22), address, createdAt: 0, nextAttemptAt: 0, attempts: 0 } as const
  const open = async (purpose: 'sign_up' | 'invitation', about: Record<string, string>) => {
    const browser = createBrowser(server)
    const token = tokenOf(server, { ...mail, purpose, about })
    const shown = await browser.follow(await browser.send(`/mail/${purpose}?token=${token}`))
    return { browser, shown }
  }
  t.is((await open('sign_up', {})).shown.status, 410)
  t.is((await open('sign_up', { client_id: 'app' })).shown.status, 200, 'in which people may sign up')
  await server.addClient({ id: 'other' })
  t.is((await open('sign_up', { client_id: 'other' })).shown.status, 410)

  const { browser, shown } = await open('invitation', { roles: 'staff admin', username: 'erin', full_name: 'Erin' })
  t.true(shown.body.includes('value="erin"') && shown.body.includes('value="Erin"'))
  t.is((await browser.post('/mail/invitation', { ...chosen, username: 'erin2' })).status, 303)
  const [user] = await server.deps.storage.listUsers()
  t.like(user, { username: 'erin2', email: address, roles: ['staff', 'admin'], fullName: undefined })
  const [event] = (await server.deps.storage.listAuditEvents(100)).filter(({ type }) => type === 'user.signed_up')
  t.is(event?.detail, `invitation ${mail.id}`)
  t.is((await open('invitation', {})).shown.status, 200)
  t.is(heading((await open('invitation', {})).shown), 'You have an account')
})

test('an invitation needs no mail, and is shown to nobody as a sign-up (one purpose each)', async t => {
  const server = await startServer(t)
  const mail = { id: 'A'.repeat(22), address, createdAt: 0, nextAttemptAt: 0, attempts: 0 } as const
  const browser = createBrowser(server, { accept: browserAccept })
  const token = tokenOf(server, { ...mail, purpose: 'invitation' })
  t.is((await browser.follow(await browser.send(`/mail/invitation?token=${token}`))).status, 200)
  t.is((await browser.send(`/mail/sign_up?token=${token}`)).status, 404)
  const stray = tokenOf(server, { ...mail, purpose: 'sign_up' })
  t.is((await browser.follow(await browser.send(`/mail/invitation?token=${stray}`))).status, 400)
})
