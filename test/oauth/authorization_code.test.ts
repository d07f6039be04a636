/** The authorization_code grant: RFC 6749 §4.1.3, RFC 7636 §4.6, and "Reuse of Authorization Codes" of OAuth 2.1. */
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { decodeJwt } from 'jose'
import {
  type AuthorizationCode,
  formatAuthorizationCode,
  maxNonce,
  parseAuthorizationCode,
} from '../../src/oauth/authorization_code.ts'
import { refusal, refused, type ServerOptions, startServerWithAlice } from '../_server.ts'
import { findSession } from '../_storages.ts'
import { createApp, verifier } from './_challenge.ts'

async function start(t: ExecutionContext, options?: ServerOptions) {
  const server = await startServerWithAlice(t, options)
  const app = createApp(server)
  const sessionOf = (code: string) => parseAuthorizationCode(code, server.deps.secrets)!.sessionId
  return { ...server, ...app, rowOf: (code: string) => findSession(server.deps.storage, sessionOf(code)) }
}

const invalid = refused(400, 'invalid_grant')

test('a code is exchanged for what the password grant gives, and the session lives as long', async t => {
  const { code, exchange, signIn, refresh, clock, rowOf, deps } = await start(t)
  const text = await code({ device: 'Phone' })
  clock.advance(59)
  const { status, body } = await exchange(text)
  t.is(status, 200)
  const tokens = await signIn()
  t.deepEqual(Object.keys(body).toSorted(), Object.keys(tokens).toSorted())
  const row = (await rowOf(text))!
  const { refresh: policy } = deps.config
  t.like(row, {
    device: 'Phone',
    idleExpiresAt: clock.now() + policy.idleLifetime,
    expiresAt: clock.now() + policy.absoluteLifetime,
  })
  clock.advance(policy.idleLifetime - 1)
  t.is((await refresh(body.refresh_token)).status, 200)
})

test('before the exchange nobody is signed in: no list, no token, no cookie knows of it', async t => {
  const { code, deps, clock, aliceId, signIn, request, bearer } = await start(t)
  await code()
  t.deepEqual(await deps.storage.listLiveSessions({}, clock.now(), 10), [])
  const { access_token } = await signIn()
  const { body } = await request('/sessions', { headers: bearer(access_token) })
  t.is(body.sessions.length, 1)
  t.is((await deps.storage.listSessionsOf(aliceId, { limit: 10 }))!.length, 2)
})

test('a code counts once: its second use, otherwise valid, ends the session, and the trail says so', async t => {
  const { code, exchange, refresh, me, deps, rowOf } = await start(t)
  const text = await code()
  const { body } = await exchange(text)
  t.is((await me(body.access_token)).status, 200)
  t.deepEqual(refusal(await exchange(text)), invalid)
  t.like(await rowOf(text), { revokedReason: 'code_reuse' })
  t.is((await me(body.access_token)).status, 401)
  t.deepEqual(refusal(await refresh(body.refresh_token)), invalid)
  const types = (await deps.storage.listAuditEvents(10)).map(({ type }) => type)
  t.deepEqual(types.slice(0, 3), ['session.reused', 'session.created', 'code.issued'])
})

test('a second use that is not otherwise valid changes nothing: another client, verifier, or none, or too late', async t => {
  const { code, exchange, refresh, addClient, clock } = await start(t)
  await addClient({ id: 'other' })
  const text = await code()
  const { body } = await exchange(text)
  for (const params of [
    { client_id: 'other' },
    { code_verifier: verifier.replace('d', 'e') },
    { code_verifier: '' },
    { code: `${text}A` },
  ])
    t.deepEqual(refusal(await exchange(text, params)), invalid, JSON.stringify(params))
  clock.advance(60)
  t.deepEqual(refusal(await exchange(text)), invalid)
  t.is((await refresh(body.refresh_token)).status, 200)
})

test('a first use by another client, with another verifier or with none leaves the code to its owner', async t => {
  const { code, exchange, addClient } = await start(t)
  await addClient({ id: 'other' })
  const text = await code()
  const words = new Set()
  for (const params of [
    { client_id: 'other' },
    { code_verifier: verifier.replace('d', 'e') },
    { code_verifier: verifier.slice(1) },
    { code_verifier: `${verifier}é` },
    { code_verifier: '' },
  ]) {
    const answer = await exchange(text, params)
    t.deepEqual(refusal(answer), invalid, JSON.stringify(params))
    words.add(answer.body.error_description)
  }
  t.is(words.size, 1)
  t.is((await exchange(text)).status, 200)
})

test('a code is good for 60 seconds', async t => {
  const { code, exchange, clock } = await start(t)
  const [early, late] = [await code(), await code()]
  clock.advance(59)
  t.is((await exchange(early)).status, 200)
  clock.advance(1)
  t.deepEqual(refusal(await exchange(late)), invalid)
})

test('of many exchanges at the same moment one has tokens, which the others end', async t => {
  const { code, exchange, me } = await start(t)
  const text = await code()
  const answers = await Promise.all(Array.from({ length: 6 }, () => exchange(text)))
  const [one, ...more] = answers.filter(({ status }) => status === 200)
  t.is(more.length, 0)
  t.is((await me(one!.body.access_token)).status, 401)
})

test('a client with a secret may do without PKCE: then a verifier is refused (RFC 9700 §2.1.1)', async t => {
  const { challenge, exchange, addClient } = await start(t)
  const client_secret = await addClient({ id: 'web', isPublic: false })
  const web = { client_id: 'web', client_secret }
  const plain = async () =>
    (
      await challenge({
        ...web,
        username: 'alice',
        password: 'correct horse battery staple',
        code_challenge: '',
        code_challenge_method: '',
      })
    ).body.authorization_code
  const text = await plain()
  t.deepEqual(refusal(await exchange(text, web)), invalid)
  t.is((await exchange(text, { ...web, code_verifier: '' })).status, 200)
})

test('nonce comes back in the id token of the code, and in none of a refresh (OpenID Connect Core §2, §12.2)', async t => {
  const { addClient, code, exchange, refresh } = await start(t)
  await addClient({ id: 'oidc', scope: 'openid read' })
  const nonce = `"\\\u{1f600}${'n'.repeat(maxNonce - 4)}`
  const { body } = await exchange(await code({ client_id: 'oidc', nonce }), { client_id: 'oidc' })
  t.is(decodeJwt(body.id_token).nonce, nonce)
  const refreshed = await refresh(body.refresh_token, { client_id: 'oidc' })
  t.false('nonce' in decodeJwt(refreshed.body.id_token))
  const without = await exchange(await code({ client_id: 'oidc' }), { client_id: 'oidc' })
  t.false('nonce' in decodeJwt(without.body.id_token))
})

test('a resource may be a part of what was granted, and a wrong one does not use the code up (RFC 8707 §2.2)', async t => {
  const audience = ['https://a.example', 'https://b.example']
  const { code, exchange } = await start(t, { oauth: { audience } })
  const text = await code()
  t.deepEqual(refusal(await exchange(text, { resource: 'https://c.example' })), refused(400, 'invalid_target'))
  const { body } = await exchange(text, { resource: audience[1]! })
  t.is(decodeJwt(body.access_token).aud, audience[1])
})

test('what was taken from the client meanwhile is not granted', async t => {
  const { code, exchange, deps } = await start(t)
  const text = await code()
  await deps.storage.changeClient('app', client => ({ outcome: undefined, client: { ...client!, scope: 'read' } }))
  t.is((await exchange(text)).body.scope, 'read')
})

test('a session that nothing can refresh ends with its access token', async t => {
  const { code, exchange, addClient, clock, rowOf } = await start(t)
  await addClient({ id: 'once', grantTypes: ['password'] })
  const text = await code({ client_id: 'once' })
  clock.advance(30)
  const { body } = await exchange(text, { client_id: 'once' })
  t.false('refresh_token' in body)
  t.is((await rowOf(text))!.expiresAt, clock.now() + 900)
})

test('a user who is disabled, or a session that is ended, before the exchange gets nothing', async t => {
  const { code, exchange, deps, aliceId, clock } = await start(t)
  const text = await code()
  const event = { at: clock.now(), type: 'session.revoked', userId: aliceId } as const
  t.is(await deps.storage.revokeSessions({ userId: aliceId }, 'revoked_by_operator', event), 1)
  t.deepEqual(refusal(await exchange(text)), invalid)
})

test('at the limit a code pushes nobody out, and its exchange whoever was seen longest ago', async t => {
  const { code, exchange, signIn, refresh, clock } = await start(t, { oauth: { sessionLimit: 2 } })
  const oldest = await signIn()
  clock.advance(1)
  const newer = await signIn()
  clock.advance(1)
  const text = await code()
  await code()
  clock.advance(1)
  const { body } = await exchange(text)
  t.is((await refresh(body.refresh_token)).status, 200)
  t.is((await refresh(newer.refresh_token)).status, 200)
  t.deepEqual(refusal(await refresh(oldest.refresh_token)), invalid)
})

test('property: what is formatted is parsed, whatever the nonce is, and nothing else is', async t => {
  const { deps } = await start(t)
  const codes: fc.Arbitrary<AuthorizationCode> = fc.record(
    {
      sessionId: fc.constant('A'.repeat(22)),
      codeChallenge: fc.constant('c'.repeat(43)),
      nonce: fc.string({ unit: 'binary', maxLength: maxNonce / 2 }),
      expiresAt: fc.nat(),
    },
    { requiredKeys: ['sessionId', 'expiresAt'], noNullPrototype: true },
  )
  fc.assert(
    fc.property(codes, one => {
      const text = formatAuthorizationCode(one, deps)
      t.regex(text, /^lkg_[\w-]+$/)
      t.deepEqual(parseAuthorizationCode(text, deps.secrets), one)
      t.is(parseAuthorizationCode(text.replace('lkg_', 'lka_'), deps.secrets), undefined)
      t.is(parseAuthorizationCode(text.slice(0, -1), deps.secrets), undefined)
    }),
  )
  const longest = {
    sessionId: 'A'.repeat(22),
    codeChallenge: 'c'.repeat(43),
    nonce: '\0'.repeat(maxNonce),
    expiresAt: 1e10,
  }
  t.deepEqual(parseAuthorizationCode(formatAuthorizationCode(longest, deps), deps.secrets), longest)
})
