/** Signing up in an app: an address is proved, and only then is there an account. NIST SP 800-63B-4 §4.2.1.2, OWASP ASVS 5 §6.4. */
import test from 'ava'
import { maxWrongCodes } from '../../src/accounts/mail_proof.ts'
import { auditEvent } from '../../src/audit/audit.ts'
import { composeLetter } from '../../src/mail/letter.ts'
import { maxMails } from '../../src/mail/mail.ts'
import { latchkey } from '../../src/pages/brand.ts'
import { waitingMails } from '../_mails.ts'
import { issuer, password, refusal, refused, startServer } from '../_server.ts'
import { address, beginSignUp, chosen, codeOf, confirmSignUp, startSignUp, tokenOf } from '../_sign_up.ts'

test('the address first, then a username and a password: the account is verified, and signs in at /token', async t => {
  const server = await startSignUp(t)
  const { storage } = server.deps
  const { proof, answer } = await beginSignUp(server, { email: ' erin@example.com', locale: 'ko-KR' })
  t.deepEqual(answer.body, { auth_session: proof.auth_session, expires_in: 86_400 })
  t.deepEqual(await storage.listUsers(), [], 'nothing of an account is there before')

  const made = await confirmSignUp(server, { ...proof, full_name: 'Erin' })

  const [user] = await storage.listUsers()
  const { id } = user!
  t.is(made.status, 201)
  t.deepEqual(made.body, { id, username: 'erin', email: address, email_verified: true, full_name: 'Erin' })
  const { passwordHash: _, ...record } = user!
  t.like(record, { email: address, emailVerifiedAt: server.clock.now(), language: 'ko', credentialVersion: 1 })
  const [event] = await storage.listAuditEvents(1)
  t.like(event, { type: 'user.signed_up', userId: id, clientId: 'app', detail: undefined })
  t.truthy(await server.signIn(chosen))
})

test('JSON will do as well as a form, and an app may send the token of the link in the place of the code', async t => {
  const server = await startSignUp(t)
  const json = (path: string, body: object) =>
    server.request(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ client_id: 'app', ...body }),
    })
  t.is((await json('/sign-up', { email: address })).status, 200)
  const [mail] = await waitingMails(server)
  const token = tokenOf(server, mail!)
  t.is((await json('/sign-up/confirm', { ...chosen, token, code: '12345678' })).status, 400, 'one of both')
  t.is((await json('/sign-up/confirm', { ...chosen, token })).status, 201)
  t.is((await json('/sign-up/confirm', { ...chosen, token })).body.error, 'invalid_grant', 'nothing is made twice')
})

for (const known of ['is the address of a user', 'is the name of a user'])
  test(`an address that ${known} is answered as any other; the account of its owner stays as it is`, async t => {
    const server = await startSignUp(t)
    const isName = known === 'is the name of a user'
    await server.addUser(isName ? { username: address } : { email: 'ERIN@example.com' })
    const users = await server.deps.storage.listUsers()
    const one = await beginSignUp(server)
    const other = await beginSignUp(server, { email: 'fred@example.com' })

    t.is(one.answer.status, other.answer.status)
    t.deepEqual([...one.answer.headers.keys()], [...other.answer.headers.keys()])
    t.is(JSON.stringify(one.answer.body).length, JSON.stringify(other.answer.body).length)
    const bare = ({ id: _, address: __, about, ...mail }: typeof one.mail) => ({ ...mail, about: Object.keys(about!) })
    t.deepEqual(bare(one.mail), bare(other.mail))
    t.like(await server.post('/sign-up', { client_id: 'app', email: address }), { status: 429 })
    t.like(await server.post('/sign-up', { client_id: 'app', email: 'fred@example.com' }), { status: 429 })
    // By a code that nobody was sent.
    t.is((await confirmSignUp(server, one.proof)).body.error, 'email_taken')
    t.is((await confirmSignUp(server, { ...other.proof, username: 'fred' })).status, 201)
    t.deepEqual(
      (await server.deps.storage.listUsers()).filter(({ email }) => email !== 'fred@example.com'),
      users,
    )
  })

test('the mail to an address that has an account has no code and no link to one, and leads to the sign-in', async t => {
  const server = await startSignUp(t)
  await server.addUser({ email: address })
  const sender = { brand: latchkey, issuer }
  const letterOf = async (email: string) => {
    const { mail } = await beginSignUp(server, { email })
    const letter = await composeLetter(server.deps, sender, mail)
    t.is(letter?.address, email)
    return letter!
  }
  const [known, other] = [await letterOf(address), await letterOf('fred@example.com')]
  t.is(known.subject, 'You have an account at auth.example.com already')
  t.true(known.text.includes(`${issuer}/login`))
  t.notRegex(known.text, /lkm_|^\d{8}$/m)
  t.regex(other.text, /^https:\/\/auth\.example\.com\/mail\/sign_up\?token=lkm_[\w-]+$/m)
  t.regex(other.text, /^\d{8}$/m)
})

test('where addresses may be shared, nobody signs up with one that somebody has', async t => {
  const server = await startSignUp(t)
  await server.deps.storage.setUniqueEmails(false)
  const begun = await beginSignUp(server)
  await server.addUser({ username: 'carol', email: address })
  t.is((await confirmSignUp(server, begun.proof)).body.error, 'email_taken')
})

test('what is no single address is 400, and no mail (CWE-93)', async t => {
  const server = await startSignUp(t)
  for (const email of [
    'erin',
    'a@b.example,evil@e.example',
    'a@b.example\r\nBcc: evil@e.example',
    'group: a@b.example, c@d.example;',
    '"a@b.example, x"@example.com',
    `${'a'.repeat(300)}@example.com`,
    'ａdmin@example.com',
    'erin@ex\u0430mple.com',
  ])
    t.deepEqual(refusal(await server.post('/sign-up', { client_id: 'app', email })), refused(400, 'invalid_request'))
  t.is((await server.post('/sign-up', { client_id: 'app' })).body.error, 'invalid_request')
  t.deepEqual(await waitingMails(server), [])
})

test('only a client that the operator lets sign people up may do so', async t => {
  const server = await startSignUp(t)
  await server.addClient({ id: 'other' })
  const begun = await beginSignUp(server)
  const other = { client_id: 'other' }
  t.deepEqual(
    refusal(await server.post('/sign-up', { ...other, email: 'fred@example.com' })),
    refused(400, 'unauthorized_client'),
  )
  t.deepEqual(refusal(await confirmSignUp(server, { ...begun.proof, ...other })), refused(400, 'unauthorized_client'))
  await server.addClient({ id: 'third', signUp: true })
  t.is((await confirmSignUp(server, { ...begun.proof, client_id: 'third' })).body.error, 'invalid_session', "another's")
  t.is((await confirmSignUp(server, begun.proof)).status, 201)
})

test('five wrong codes end it, also for the right one, and a day does', async t => {
  const server = await startSignUp(t)
  const { auth_session, code } = (await beginSignUp(server)).proof
  const wrong = code === '12345678' ? '12345679' : '12345678'
  // At once no more are heard than one after the other.
  const answers = await Promise.all(
    Array.from({ length: 2 * maxWrongCodes }, () => confirmSignUp(server, { auth_session, code: wrong })),
  )
  const errors = answers.map(({ body }) => body.error)
  t.is(errors.filter(error => error === 'invalid_grant').length, maxWrongCodes - 1)
  t.is(errors.filter(error => error === 'invalid_session').length, maxWrongCodes + 1)
  t.is((await confirmSignUp(server, { auth_session, code })).body.error, 'invalid_session')

  server.clock.advance(3600)
  const late = (await beginSignUp(server)).proof
  const good = (await beginSignUp(server, { email: 'fred@example.com' })).proof
  server.clock.advance(86_399)
  t.is(
    (
      await confirmSignUp(server, {
        ...good,
        username: 'fred',
        code: ` ${good.code.slice(0, 4)}-${good.code.slice(4)}`,
      })
    ).status,
    201,
  )
  server.clock.advance(1)
  t.deepEqual(refusal(await confirmSignUp(server, late)), refused(400, 'invalid_session'))
})

test('what was chosen badly is told, and the same code does with something better', async t => {
  const server = await startSignUp(t)
  await server.addUser()
  const { storage } = server.deps
  const begun = (await beginSignUp(server)).proof
  const confirm = (params: Record<string, string>) => confirmSignUp(server, { ...begun, ...params })
  t.deepEqual(refusal(await confirm({ username: 'ALICE' })), refused(409, 'username_taken'))
  for (const [params, words] of [
    [{ password: 'short' }, 'the password must have at least 15 characters'],
    [{ username: 'a'.repeat(129) }, 'username has more than 128 characters'],
    [{ username: 'er\u200bin' }, 'username has a character that cannot be seen: U+200B'],
    [{ username: 'bob@example.com' }, 'username is an address other than the one that was proved'],
    [
      { username: 'bob＠example.com', password: 'short' },
      'username has letters of full or half width, which look like the usual ones; the password must have at least 15 characters',
    ],
    [{ full_name: 'Erin\u202e' }, 'full_name has a character that cannot be in a name: U+202E'],
  ] as const)
    t.like(await confirm(params), { status: 400, body: { error: 'invalid_request', error_description: words } })
  t.is((await storage.listUsers()).length, 1)
  t.is((await confirm({ username: 'Erin@Example.com' })).status, 201, 'the address that was proved')
})

test('names are told to be taken twenty times, and then one in ten minutes, to who has proved one address', async t => {
  const server = await startSignUp(t)
  await server.addUser()
  const begun = (await beginSignUp(server)).proof
  const confirm = (username: string) => confirmSignUp(server, { ...begun, username })
  for (let i = 0; i < 20; i++) t.is((await confirm('alice')).body.error, 'username_taken')
  server.clock.advance(60)
  const again = (await beginSignUp(server)).proof
  for (const one of [begun, again])
    t.deepEqual(
      refusal(await confirmSignUp(server, { ...one, username: 'alice' })),
      refused(429, 'temporarily_unavailable'),
    )
  server.clock.advance(600)
  t.is((await confirm('alice')).body.error, 'username_taken')
  server.clock.advance(600)
  t.is((await confirm('erin')).status, 201)
})

test('confirmed several times at once there is one account, by whichever proof and at whichever node (CWE-367)', async t => {
  const server = await startSignUp(t)
  const beside = await startSignUp(t, { beside: server, storage: server.deps.storage, clock: server.clock })
  const { proof, mail } = await beginSignUp(server)
  server.clock.advance(60)
  // Another mail to the same address.
  const again = await beginSignUp(beside)
  const token = tokenOf(server, mail)
  const proofs = [proof, { token }, again.proof]
  const answers = await Promise.all(
    [server, beside].flatMap((node, i) =>
      proofs.map((proof, j) => confirmSignUp(node, { ...proof, username: `erin${i}${j}` })),
    ),
  )
  const refusals = answers.filter(({ status }) => status !== 201)
  t.is(refusals.length, 5)
  for (const { body } of refusals) t.true(['email_taken', 'invalid_grant', 'invalid_session'].includes(body.error))
  t.is((await server.deps.storage.listUsers()).length, 1)
  const events = await server.deps.storage.listAuditEvents(100)
  t.is(events.filter(({ type }) => type === 'user.signed_up').length, 1)
})

test('what an address was proved by counts once, also when the account has another address since', async t => {
  const server = await startSignUp(t)
  const begun = await beginSignUp(server)
  const { id } = (await confirmSignUp(server, begun.proof)).body
  const event = auditEvent('user.updated', server.clock.now(), {}, { userId: id })
  await server.deps.storage.updateUser(id, { email: 'other@example.com' }, event)
  t.is((await confirmSignUp(server, { ...begun.proof, username: 'fred' })).body.error, 'invalid_session')
  t.is(
    (await confirmSignUp(server, { token: tokenOf(server, begun.mail), username: 'fred' })).body.error,
    'invalid_grant',
  )
})

test('of accounts that are made from one network there are twenty at once, and no mail is asked for more often than the limits say', async t => {
  const server = await startSignUp(t)
  const at = (i: number) => `user${i}@example.com`
  const begun: Record<string, string>[] = []
  for (let i = 0; i <= 20; i++) {
    const { proof } = await beginSignUp(server, { email: at(i) })
    begun.push({ ...proof, username: `user${i}` })
    server.clock.advance(360)
  }
  for (const [i, one] of begun.entries()) t.is((await confirmSignUp(server, one)).status, i < 20 ? 201 : 429, at(i))
  t.is((await confirmSignUp(server, { ...begun[20]! })).headers.get('retry-after') !== null, true)
})

test('where the outbox is full everybody is told to come again', async t => {
  const server = await startSignUp(t)
  const { storage } = server.deps
  const full = { ...storage, addMail: async () => false }
  const other = await startSignUp(t, { beside: server, storage: full, clock: server.clock })
  t.true(maxMails >= 1000)
  t.is((await other.post('/sign-up', { client_id: 'app', email: address })).status, 503)
  t.is((await server.post('/sign-up', { client_id: 'app', email: 'fred@example.com' })).status, 200)
})

test('where no mail is set up there is no sign-up, and no document promises it', async t => {
  const server = await startServer(t)
  await server.addClient({ signUp: true })
  for (const path of ['/sign-up', '/sign-up/confirm']) t.is((await server.post(path, { client_id: 'app' })).status, 404)
  const paths = async (one: typeof server) => Object.keys((await one.request('/openapi.json')).body.paths)
  t.false((await paths(server)).includes('/sign-up'))
  t.true((await paths(await startSignUp(t))).includes('/sign-up'))
})

test('a browser app of an allowed origin may sign people up (fetch standard)', async t => {
  const origin = 'https://app.example.com'
  const server = await startSignUp(t, { http: { corsOrigins: [origin] } })
  const body = new URLSearchParams({ client_id: 'app', email: address })
  const answer = await server.request('/sign-up', { method: 'POST', body, headers: { origin } })
  t.deepEqual([answer.status, answer.headers.get('access-control-allow-origin')], [200, origin])
})

test('an access token is no client, and a password in the query is refused', async t => {
  const server = await startSignUp(t)
  await server.addUser()
  const { access_token } = await server.signIn({ password })
  t.is((await server.post('/sign-up', { email: address }, server.bearer(access_token))).body.error, 'invalid_request')
  t.is((await server.post('/sign-up/confirm?password=x', { client_id: 'app' })).body.error, 'invalid_request')
})

test('property of the code: another address, another challenge or another secret has another one', async t => {
  const server = await startSignUp(t)
  const one = await beginSignUp(server)
  const other = await beginSignUp(server, { email: 'fred@example.com' })
  t.not(one.proof.code, other.proof.code)
  t.not(codeOf(server, one.mail), codeOf(server, { ...one.mail, address: 'fred@example.com' }))
  t.is((await confirmSignUp(server, { ...one.proof, code: other.proof.code })).body.error, 'invalid_grant')
})
