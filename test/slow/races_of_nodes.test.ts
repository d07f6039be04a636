/** What requests at two nodes of one PostgreSQL do to each other at the same moment, through HTTP, with stops where a change is missed most easily. */
import test, { type ExecutionContext } from 'ava'
import { auditEvent } from '../../src/audit/audit.ts'
import { disabledUpdate } from '../../src/sessions/user_change.ts'
import { createPasswords, type Passwords } from '../../src/users/password.ts'
import { databases } from '../_databases.ts'
import { addRecoveryCodes, addTotp } from '../_factors.ts'
import {
  cheapHashing,
  createClock,
  createTestRandom,
  password,
  refusal,
  refused,
  type ServerOptions,
  startServer,
  startServerWithAlice,
  startTime,
  type TestServer,
} from '../_server.ts'
import { assertModel } from '../_session_model.ts'
import { byPassword, createApp } from '../oauth/_challenge.ts'

const signIn = { grant_type: 'password', client_id: 'app', username: 'alice', password }
const nextPassword = 'another long password'

/** @param own what only the first, or only the second, is started with */
async function startTwo(
  t: ExecutionContext,
  options: ServerOptions = {},
  own: [ServerOptions, ServerOptions] = [{}, {}],
) {
  const database = await databases.postgres(t)
  const clock = createClock()
  const a = await startServerWithAlice(t, { clock, ...options, ...own[0], storage: await database.open() })
  const b = await startServer(t, { clock, ...options, ...own[1], storage: await database.open(), beside: a })
  return { a, b }
}

function liveSessions({ deps, clock }: TestServer) {
  return deps.storage.listLiveSessions({}, clock.now(), 1000)
}

test('promises 1, 2 and 4: of commands at the same moment at two nodes there is an order that explains every answer', async t => {
  t.timeout(240_000)
  const options = { throttle: { enabled: false }, oauth: { accessTokenLifetime: 3600 } }
  const start = async () => {
    const { a, b } = await startTwo(t, options)
    return [a, b] as const
  }
  await assertModel(t, start, 40)
})

/** What happens at the other node while the first has verified a password and has no session yet. */
const changes: Record<string, (other: TestServer, userId: string) => Promise<unknown>> = {
  async 'changes the password'(other) {
    const { access_token } = await other.signIn()
    const body = new URLSearchParams({ current_password: password, new_password: nextPassword })
    return other.request('/users/me/password', { method: 'PUT', headers: other.bearer(access_token), body })
  },
  'disables the user': ({ deps }, userId) =>
    deps.storage.changeUser(userId, disabledUpdate(true, event('user.disabled'))),
  async 'disables the user and takes it back'({ deps }, userId) {
    await deps.storage.changeUser(userId, disabledUpdate(true, event('user.disabled')))
    await deps.storage.changeUser(userId, disabledUpdate(false, event('user.enabled')))
  },
  'removes the user': ({ deps }, userId) => deps.storage.removeUser(userId, event('user.removed')),
  'removes the client': ({ deps }) => deps.storage.removeClient('app', event('client.removed')),
}

const event = (type: Parameters<typeof auditEvent>[0]) => auditEvent(type, startTime, {})

/** The real thing, with a stop after the next verification. */
async function createPausedPasswords() {
  const real = await createPasswords(cheapHashing, createTestRandom())
  let pause: (() => Promise<unknown>) | undefined
  const passwords: Passwords = {
    ...real,
    async verify(typed, storedHash) {
      const matches = await real.verify(typed, storedHash)
      const pausing = pause
      pause = undefined
      await pausing?.()
      return matches
    },
  }
  return { passwords, afterNextVerify: (run: () => Promise<unknown>) => (pause = run) }
}

for (const [what, change] of Object.entries(changes)) {
  test(`promise 4: a sign-in that has hashed at one node while the other ${what} leaves no session`, async t => {
    const { passwords, afterNextVerify } = await createPausedPasswords()
    const { a, b } = await startTwo(t, {}, [{ passwords }, {}])
    t.is((await a.token(signIn)).status, 200)

    afterNextVerify(async () => {
      await change(b, a.aliceId)
    })
    const answer = await a.token(signIn)

    t.is(answer.status, 400, JSON.stringify(answer.body))
    // Of the change of the password the session that asked for it.
    t.is((await liveSessions(a)).length, what === 'changes the password' ? 1 : 0)
  })
}

test('promise 4: 40 sign-ins at two nodes race a change of the password: no session of the old one lives', async t => {
  const { a, b } = await startTwo(t, { throttle: { enabled: false } })
  const { access_token } = await b.signIn()
  const body = new URLSearchParams({ current_password: password, new_password: nextPassword })

  const signIns = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? a : b).token(signIn))
  await signIns[5]
  const changed = await b.request('/users/me/password', { method: 'PUT', headers: b.bearer(access_token), body })
  const answers = await Promise.all(signIns)

  t.is(changed.status, 200)
  t.true(answers.every(({ status }) => status === 200 || status === 400))
  t.is((await liveSessions(a)).length, 1)
  for (const { status, body } of answers) {
    if (status === 200) t.deepEqual(refusal(await a.refresh(body.refresh_token)), refused(400, 'invalid_grant'))
  }
  t.is((await a.token({ ...signIn, password: nextPassword })).status, 200)
})

test('promise 4: 40 refreshes at one node race a logout at the other: none that began after its answer succeeds', async t => {
  const { a, b } = await startTwo(t)
  const tokens = await a.signIn()

  const before = Array.from({ length: 20 }, () => a.refresh(tokens.refresh_token))
  const ended = b
    .request('/logout', { method: 'POST', headers: b.bearer(tokens.access_token) })
    .then(() => a.refresh(tokens.refresh_token))
  const answers = await Promise.all([...before, ...Array.from({ length: 20 }, () => a.refresh(tokens.refresh_token))])

  t.deepEqual(refusal(await ended), refused(400, 'invalid_grant'))
  t.true(answers.every(({ status, body }) => status === 200 || body.error === 'invalid_grant'))
  t.true(new Set(answers.filter(({ status }) => status === 200).map(({ body }) => body.refresh_token)).size <= 1)
  t.deepEqual(await liveSessions(b), [])
})

test('the limit of sessions is exact with sign-ins at two nodes at once', async t => {
  const { a, b } = await startTwo(t, { oauth: { sessionLimit: 3 }, throttle: { enabled: false } })

  const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? a : b).token(signIn)))

  t.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  t.is((await liveSessions(a)).length, 3)
})

for (const [what, proofOf] of [
  ['a code of an app', (phone: Awaited<ReturnType<typeof addTotp>>) => ({ otp: phone.code() })],
  ['a recovery code', (_: unknown, codes: string[]) => ({ recovery_code: codes[0]! })],
] as const)
  test(`${what} lets one in, at two nodes at the same moment, along with the password and by an auth_session (RFC 6238 §5.2)`, async t => {
    const { a, b } = await startTwo(t)
    const phone = await addTotp(a, a.aliceId)
    const { codes } = await addRecoveryCodes(a, a.aliceId)
    const proof = proofOf(phone, codes)
    const waiting = await Promise.all([a, b].map(node => createApp(node).challenge(byPassword)))
    const answers = await Promise.all([
      a.token({ ...signIn, ...proof }),
      b.token({ ...signIn, ...proof }),
      ...[b, a].map((node, i) => createApp(node).challenge({ auth_session: waiting[i]!.body.auth_session, ...proof })),
    ])
    t.is(answers.filter(({ status }) => status === 200).length, 1)
    for (const { status, body } of answers.filter(one => one.status !== 200))
      t.deepEqual([status, body.error], [400, 'invalid_grant'])
  })

test('an auth_session and an authorization code count once at two nodes, and the code of one is good at the other (RFC 6749 §4.1.2)', async t => {
  const { a, b } = await startTwo(t)
  const [here, there] = [createApp(a), createApp(b)]
  const phone = await addTotp(a, a.aliceId)
  const { codes } = await addRecoveryCodes(a, a.aliceId)
  const { body } = await here.challenge(byPassword)
  const answers = await Promise.all([
    here.challenge({ auth_session: body.auth_session, otp: phone.code() }),
    there.challenge({ auth_session: body.auth_session, recovery_code: codes[0]! }),
  ])
  const issued = answers.filter(({ status }) => status === 200)
  t.is(issued.length, 1)

  const code = issued[0]!.body.authorization_code
  const exchanges = await Promise.all([here.exchange(code), there.exchange(code), here.exchange(code)])
  t.deepEqual(exchanges.map(({ status }) => status).toSorted(), [200, 400, 400])
  t.deepEqual(await liveSessions(a), [], 'the second use ended what the first one began')
})
