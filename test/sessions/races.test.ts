/** What two requests do to each other at the same moment, through HTTP. Design, section 2 and promise 4. */
import test, { type ExecutionContext } from 'ava'
import { decodeJwt } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { disabledUpdate, passwordUpdate } from '../../src/sessions/user_change.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createPasswords, type Passwords } from '../../src/users/password.ts'
import {
  type Answer,
  cheapHashing,
  createTestRandom,
  password,
  refusal,
  refused,
  startServerWithAlice,
  startTime,
  type TestServer,
} from '../_server.ts'

const signIn = { grant_type: 'password', client_id: 'app', username: 'alice', password }
const event = auditEvent('user.password_changed', startTime, {})

/** What an administrator or the user does while a sign-in with the old credentials is under way. */
const changes: Record<string, (storage: Storage, userId: string, passwordHash: string) => Promise<unknown>> = {
  'a password change': (storage, userId, passwordHash) =>
    storage.changeUser(userId, passwordUpdate(passwordHash, event)),
  'a disable': (storage, userId) => storage.changeUser(userId, disabledUpdate(true, event)),
  'a disable that is taken back': async (storage, userId) => {
    await storage.changeUser(userId, disabledUpdate(true, event))
    await storage.changeUser(userId, disabledUpdate(false, event))
  },
  'a removal': (storage, userId) => storage.removeUser(userId, event),
}

/** The real thing, with a stop after each verification: the moment at which a change is missed most easily. */
async function createPausedPasswords() {
  const real = await createPasswords(cheapHashing, createTestRandom())
  let afterVerify: () => Promise<unknown> = async () => {}
  const passwords: Passwords = {
    ...real,
    async verify(typed, storedHash) {
      const matches = await real.verify(typed, storedHash)
      await afterVerify()
      return matches
    },
  }
  return { passwords, afterVerify: (run: () => Promise<unknown>) => (afterVerify = run) }
}

function liveSessions(server: TestServer) {
  return server.deps.storage.listLiveSessions({}, server.clock.now(), 1000)
}

async function assertDead(t: ExecutionContext, server: TestServer, answers: readonly Answer[]) {
  for (const { status, body } of answers) {
    if (status !== 200) continue
    t.is((await server.me(body.access_token)).status, 401)
    t.deepEqual(refusal(await server.refresh(body.refresh_token)), refused(400, 'invalid_grant'))
  }
}

for (const [name, change] of Object.entries(changes)) {
  test(`a sign-in is refused when ${name} comes between its verification and its session`, async t => {
    const { passwords, afterVerify } = await createPausedPasswords()
    const server = await startServerWithAlice(t, { passwords })
    const passwordHash = await passwords.hash('another password')
    t.is((await server.token(signIn)).status, 200)

    afterVerify(() => change(server.deps.storage, server.aliceId, passwordHash))

    t.deepEqual((await server.token(signIn)).body, {
      error: 'invalid_grant',
      error_description: 'the username or password is wrong',
    })
    t.deepEqual(await liveSessions(server), [])
  })

  test(`20 sign-ins race ${name}: afterwards no session of the old credentials lives`, async t => {
    const server = await startServerWithAlice(t, { throttle: { account: 100 } })
    const passwordHash = await server.deps.passwords.hash('another password')

    const signIns = Array.from({ length: 20 }, () => server.token(signIn))
    const answered = signIns[5]!
    await answered
    await change(server.deps.storage, server.aliceId, passwordHash)
    const answers = await Promise.all(signIns)

    t.true(answers.every(({ status }) => status === 200 || status === 400))
    t.is((await answered).status, 200)
    const made = new Set(
      answers.filter(({ status }) => status === 200).map(({ body }) => decodeJwt(body.access_token).sid),
    )
    // After a disable that is taken back, whoever verified the password later is signed in rightly.
    if (name === 'a disable that is taken back') {
      const { credentialVersion } = (await server.deps.storage.findUser(server.aliceId))!
      t.is(credentialVersion, 2)
      return
    }
    t.deepEqual(
      (await liveSessions(server)).filter(({ id }) => made.has(id)),
      [],
    )
    await assertDead(t, server, answers)
  })
}

/** What ends a session from outside while its device refreshes. Resolves when it has been answered. */
const ends: Record<string, (server: TestServer & { aliceId: string }, accessToken: string) => Promise<unknown>> = {
  'a logout': (server, accessToken) =>
    server.request('/logout', { method: 'POST', headers: server.bearer(accessToken) }),
  'a logout of all devices': (server, accessToken) =>
    server.request('/logout?scope=all', { method: 'POST', headers: server.bearer(accessToken) }),
  'a password change on another device': async server => {
    const other = await server.signIn()
    const body = new URLSearchParams({ current_password: password, new_password: 'another long password' })
    return server.request('/users/me/password', { method: 'PUT', headers: server.bearer(other.access_token), body })
  },
  'a disable': ({ deps, aliceId }) => changes['a disable']!(deps.storage, aliceId, ''),
  'a removal': ({ deps, aliceId }) => changes['a removal']!(deps.storage, aliceId, ''),
}

for (const [name, end] of Object.entries(ends)) {
  test(`40 refreshes race ${name}: none that began after it was answered succeeds, and none that succeeded lives on`, async t => {
    const server = await startServerWithAlice(t)
    const tokens = await server.signIn()

    const before = Array.from({ length: 20 }, () => server.refresh(tokens.refresh_token))
    const ended = end(server, tokens.access_token).then(async () => {
      const late = await server.refresh(tokens.refresh_token)
      t.deepEqual(refusal(late), refused(400, 'invalid_grant'))
    })
    const during = Array.from({ length: 20 }, () => server.refresh(tokens.refresh_token))
    const answers = await Promise.all([...before, ...during])
    await ended

    t.true(answers.every(({ status, body }) => status === 200 || body.error === 'invalid_grant'))
    const successors = new Set(answers.filter(({ status }) => status === 200).map(({ body }) => body.refresh_token))
    t.true(successors.size <= 1)
    await assertDead(t, server, [...answers, { status: 200, headers: new Headers(), body: tokens }])
  })
}

test('promise 1: 200 refreshes with one token at once have one successor, which works; the session has moved by one', async t => {
  const server = await startServerWithAlice(t)
  const tokens = await server.signIn()
  const generation = async () => (await liveSessions(server))[0]!.generation
  const first = await generation()

  const answers = await Promise.all(Array.from({ length: 200 }, () => server.refresh(tokens.refresh_token)))

  t.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  const successors = new Set(answers.map(({ body }) => body.refresh_token))
  t.is(successors.size, 1)
  t.is(await generation(), first + 1)
  t.is((await server.refresh([...successors][0])).status, 200)
})

test('20 refreshes race a revocation; whatever wins, nothing works afterwards (RFC 7009 §2.1)', async t => {
  const server = await startServerWithAlice(t)
  const tokens = await server.signIn()
  const other = await server.signIn()

  const refreshes = Array.from({ length: 10 }, () => server.refresh(tokens.refresh_token))
  const revocation = server.post('/revoke', { client_id: 'app', token: tokens.refresh_token })
  const later = Array.from({ length: 10 }, () => server.refresh(tokens.refresh_token))
  const answers = await Promise.all([...refreshes, ...later])

  t.is((await revocation).status, 200)
  await assertDead(t, server, [...answers, { status: 200, headers: new Headers(), body: tokens }])
  t.is((await server.refresh(other.refresh_token)).status, 200)
})

test('of 20 parallel DELETEs of one session exactly one is 204, the others are 404', async t => {
  const server = await startServerWithAlice(t)
  const [phone, tablet] = [await server.signIn(), await server.signIn()]
  const headers = server.bearer(phone.access_token)
  const path = `/sessions/${decodeJwt(tablet.access_token).sid}`

  const answers = await Promise.all(
    Array.from({ length: 20 }, () => server.request(path, { method: 'DELETE', headers })),
  )

  const statuses = answers.map(({ status }) => status).sort()
  t.deepEqual(statuses, [204, ...Array.from({ length: 19 }, () => 404)])
  const events = await server.deps.storage.listAuditEvents(100)
  t.is(events.filter(({ type }) => type === 'session.revoked').length, 1)
})

test('20 parallel logouts are all answered, and the session ends once', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  const headers = server.bearer(access_token)

  const answers = await Promise.all(
    Array.from({ length: 20 }, () => server.request('/logout', { method: 'POST', headers })),
  )

  t.true(answers.some(({ status }) => status === 200))
  t.true(answers.every(({ status }) => status === 200 || status === 401))
  const events = await server.deps.storage.listAuditEvents(100)
  t.is(events.filter(({ type }) => type === 'session.revoked').length, 1)
  t.is((await server.me(access_token)).status, 401)
})

test('two devices that each sign out the others leave at most one session', async t => {
  const server = await startServerWithAlice(t)
  const devices = await Promise.all(Array.from({ length: 5 }, () => server.signIn()))

  await Promise.all(
    devices.map(({ access_token }) => {
      return server.request('/logout?scope=others', { method: 'POST', headers: server.bearer(access_token) })
    }),
  )

  t.true((await liveSessions(server)).length <= 1)
})

test('a sign-in that races ?scope=all ends up in the list or nowhere', async t => {
  const server = await startServerWithAlice(t)
  const phone = await server.signIn()

  const [signedIn, loggedOut] = await Promise.all([
    server.token(signIn),
    server.request('/logout?scope=all', { method: 'POST', headers: server.bearer(phone.access_token) }),
  ])

  t.is(signedIn.status, 200)
  t.is(loggedOut.status, 200)
  t.is((await server.me(phone.access_token)).status, 401)
  const isLive = (await liveSessions(server)).length === 1
  t.is((await server.me(signedIn.body.access_token)).status, isLive ? 200 : 401)
})
