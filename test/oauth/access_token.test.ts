/** Access tokens: their claims, their lifetime, and what comes back. RFC 9068. */
import test from 'ava'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { auditEvent } from '../../src/audit/audit.ts'
import { createClient } from '../../src/clients/client.ts'
import { OAuthError } from '../../src/error.ts'
import { authenticateAccessToken, issueAccessToken, verifyAccessToken } from '../../src/oauth/access_token.ts'
import type { Deps } from '../../src/oauth/deps.ts'
import { createSession, type Session } from '../../src/sessions/session.ts'
import { issuer, oauthConfig, startTime as start, startServer, startServerWithAlice } from '../_server.ts'

function session(changes: Partial<Session> = {}): Session {
  const signIn = { id: 'A'.repeat(22), userId: 'usr_alice', clientId: 'app', scope: 'read write' }
  const about = { device: undefined, ip: undefined, userAgent: undefined }
  const created = { ...signIn, audience: [issuer], amr: ['pwd'], ...about }
  return { ...createSession(created, start, oauthConfig.refresh), ...changes }
}

const client = createClient({ id: 'app', grantTypes: ['password'], scope: 'read write', createdAt: start })

const issue = (deps: Deps, ofSession: Session, scope: string) =>
  issueAccessToken(deps, client, { session: ofSession, scope, audience: ofSession.audience })

test('the claims are those of RFC 9068 §2.2 with sid, and no other', async t => {
  const { deps } = await startServer(t)
  const { accessToken, expiresIn } = issue(deps, session({ authTime: start - 50 }), 'read')
  const { jti, ...claims } = decodeJwt(accessToken)
  t.deepEqual(claims, {
    iss: issuer,
    aud: issuer,
    sub: 'usr_alice',
    client_id: 'app',
    iat: start,
    exp: start + expiresIn,
    scope: 'read',
    sid: 'A'.repeat(22),
    auth_time: start - 50,
    amr: ['pwd'],
    acr: 'urn:latchkey:1fa',
  })
  t.regex(jti ?? '', /^[\w-]{22}$/)
})

test('the header is at+jwt with the algorithm and the kid (RFC 9068 §2.1)', async t => {
  const { deps } = await startServer(t)
  const header = decodeProtectedHeader(issue(deps, session(), 'read').accessToken)
  t.deepEqual(header, { alg: 'ES256', typ: 'at+jwt', kid: deps.keyRing.keys()[0]?.stored.kid })
})

test('one audience is a string, several are an array (RFC 7519 §4.1.3)', async t => {
  const { deps } = await startServer(t)
  const audienceOf = (audience: string[]) => decodeJwt(issue(deps, session({ audience }), 'read').accessToken).aud
  t.is(audienceOf(['https://api.example.com']), 'https://api.example.com')
  t.deepEqual(audienceOf(['https://a.example.com', 'https://b.example.com']), [
    'https://a.example.com',
    'https://b.example.com',
  ])
})

test('every token has a jti of its own', async t => {
  const { deps } = await startServer(t)
  const jtis = Array.from({ length: 50 }, () => decodeJwt(issue(deps, session(), 'read').accessToken).jti)
  t.is(new Set(jtis).size, 50)
})

for (const accessTokenLifetime of [900, 86_400, 60]) {
  test(`a lifetime of ${accessTokenLifetime} s is spread downwards by up to 5 %, and exp says the same`, async t => {
    const { deps } = await startServer(t, { oauth: { accessTokenLifetime } })
    const lifetimes = Array.from({ length: 300 }, () => {
      const { accessToken, expiresIn } = issue(deps, session(), 'read')
      t.is(decodeJwt(accessToken).exp, start + expiresIn)
      return expiresIn
    })
    t.true(Math.max(...lifetimes) <= accessTokenLifetime)
    t.true(Math.min(...lifetimes) >= accessTokenLifetime * 0.95)
    t.true(lifetimes.every(Number.isInteger))
    t.true(new Set(lifetimes).size > 3)
  })
}

test('a lifetime too short to spread stays as it is', async t => {
  const { deps } = await startServer(t, { oauth: { accessTokenLifetime: 10 } })
  t.is(issue(deps, session(), 'read').expiresIn, 10)
})

test('no token outlives its session: the absolute expiry caps it', async t => {
  const { deps } = await startServer(t)
  const { accessToken, expiresIn } = issue(deps, session({ expiresAt: start + 100 }), 'read')
  t.is(expiresIn, 100)
  t.is(decodeJwt(accessToken).exp, start + 100)
  t.true(issue(deps, session({ expiresAt: start + 900 }), 'read').expiresIn >= 855)
})

test('no token promises more than its session has: the idle expiry caps it', async t => {
  const { deps } = await startServer(t)
  t.is(issue(deps, session({ idleExpiresAt: start + 7 }), 'read').expiresIn, 7)
})

test('a token verifies until the second of its expiry', async t => {
  const { deps, clock } = await startServer(t)
  const { accessToken, expiresIn } = issue(deps, session(), 'read')
  t.deepEqual({ ...verifyAccessToken(deps, accessToken) }, decodeJwt(accessToken))
  clock.advance(expiresIn - 1)
  t.not(verifyAccessToken(deps, accessToken), undefined)
  clock.advance(1)
  t.is(verifyAccessToken(deps, accessToken), undefined)
})

test('a token of another issuer is refused, though the key is ours', async t => {
  const { deps } = await startServer(t)
  const before = { ...deps, config: { ...deps.config, issuer: 'https://old.example.com' } }
  const { accessToken } = issue(before, session(), 'read')
  t.is(verifyAccessToken(deps, accessToken), undefined)
  t.not(verifyAccessToken(before, accessToken), undefined)
})

test('what is no token is refused', async t => {
  const { deps } = await startServer(t)
  for (const text of ['', 'a', 'a.b.c', 'lkr_x', '..']) t.is(verifyAccessToken(deps, text), undefined)
})

test('a token authenticates its user as long as its session is live', async t => {
  const { deps, aliceId } = await startServerWithAlice(t)
  const live = session({ userId: aliceId })
  await deps.storage.createSession(live, { version: 1 }, auditEvent('session.created', start, {}))
  const { accessToken } = issue(deps, live, 'read')
  const found = await authenticateAccessToken(deps, accessToken)
  t.deepEqual([found.session.id, found.user.username, found.scope], [live.id, 'alice', 'read'])

  await deps.storage.revokeSessions({ id: live.id }, 'logout', auditEvent('session.revoked', start, {}))
  const error = await t.throwsAsync(authenticateAccessToken(deps, accessToken), { instanceOf: OAuthError })
  t.is(error?.code, 'invalid_token')
})

test('a good token of a session that is not there is invalid_token', async t => {
  const { deps } = await startServer(t)
  const { accessToken } = issue(deps, session(), 'read')
  const error = await t.throwsAsync(authenticateAccessToken(deps, accessToken), { instanceOf: OAuthError })
  t.is(error?.code, 'invalid_token')
})
