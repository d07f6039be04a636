/** A sign-in by a passkey alone, down to the session that it begins. */
import test from 'ava'
import { beginSession } from '../../src/sessions/begin.ts'
import { createChallenge, requestOptions } from '../../src/users/factors/passkey.ts'
import { signInByPasskey } from '../../src/users/sign_in_by_passkey.ts'
import type { Forged } from '../_authenticator.ts'
import { addPasskey } from '../_factors.ts'
import { startServerWithAlice, type TestContext } from '../_server.ts'

const caller = { ip: '192.0.2.1', requestId: 'request' }

async function startWithPasskey(t: TestContext) {
  const server = await startServerWithAlice(t)
  const { deps, aliceId } = server
  const { authenticator, factor } = await addPasskey(server, aliceId)
  const client = (await deps.storage.findClient('app'))!
  const lifetimes = { idleLifetime: 60, absoluteLifetime: 60 }
  const signIn = (forged?: Forged) => {
    const asked = { relyingParty: deps.config.relyingParty!, challenge: createChallenge(deps.randomBytes) }
    const answer = authenticator.get(requestOptions(asked, []), forged)
    return signInByPasskey(deps, { answer, asked, clientId: 'app' }, caller)
  }
  const begin = (authentication: Awaited<ReturnType<typeof signIn>>) =>
    beginSession(deps, authentication, { client, scope: 'read', audience: [], lifetimes }, caller)
  return { ...server, authenticator, factor, signIn, begin }
}

test('a passkey alone says who it is and begins a session, which owes nothing more', async t => {
  const { signIn, begin, aliceId, clock, deps } = await startWithPasskey(t)
  clock.advance(5)
  const authentication = await signIn()
  t.like(authentication, { amr: ['hwk', 'user', 'mfa'], at: clock.now(), user: { id: aliceId } })
  t.like(await begin(authentication), { userId: aliceId, amr: ['hwk', 'user', 'mfa'] })
  const [factor] = await deps.storage.listFactors(aliceId)
  t.like(factor, { counter: 2, usedAt: clock.now() })
})

test('one assertion begins one session, also where two requests bring it at the same moment (WebAuthn §6.1.1)', async t => {
  const { signIn, begin } = await startWithPasskey(t)
  const authentication = await signIn()
  const results = await Promise.allSettled([begin(authentication), begin(authentication)])
  t.deepEqual(results.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
})

test('a passkey that is unknown, was removed, or is of a disabled user lets nobody in, and the trail says why', async t => {
  const { signIn, begin, deps, aliceId, factor, clock } = await startWithPasskey(t)
  const before = await signIn()
  const { storage } = deps
  const change = (disabledAt: number | undefined, remove: string[] = []) =>
    storage.changeUser(aliceId, user => ({
      outcome: undefined,
      user: { ...user!, disabledAt },
      factors: { remove },
    }))
  await change(clock.now())
  await t.throwsAsync(signIn(), { code: 'invalid_grant' })
  await change(undefined)
  t.truthy(await signIn())
  await t.throwsAsync(signIn({ userVerified: false }), { code: 'invalid_grant' })
  await change(undefined, [factor.id])
  await t.throwsAsync(begin(before), { code: 'invalid_grant' })
  await t.throwsAsync(signIn(), { code: 'invalid_grant' })
  await deps.refusals.flush(true)
  const events = await storage.listAuditEvents(10, { type: 'sign_in.refused' })
  t.deepEqual(
    events.map(({ detail, userId }) => [detail, userId]).toSorted(),
    [
      ['no such passkey', undefined],
      ['the user is disabled or gone', aliceId],
      ['the user was not verified', aliceId],
    ].toSorted(),
  )
})
