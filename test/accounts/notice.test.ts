/** What of the audit trail an owner is told, and which sign-ins are strange. */
import test from 'ava'
import { isStrange, noticeOf, placeOf } from '../../src/accounts/notice.ts'
import type { AuditEvent } from '../../src/audit/audit.ts'
import { createSession, type Session } from '../../src/sessions/session.ts'

const start = 1_800_000_000
const event = (given: Partial<AuditEvent>): AuditEvent => ({
  at: start,
  type: 'session.created',
  userId: 'usr_a',
  ...given,
})

for (const [given, notice] of [
  [{ type: 'session.created' }, { purpose: 'new_device' }],
  [{ type: 'user.password_changed' }, { purpose: 'password_changed' }],
  [{ type: 'user.password_reset' }, { purpose: 'password_changed' }],
  [
    { type: 'factor.added', detail: 'totp fac_a, recovery_codes fac_b' },
    { purpose: 'factor_changed', about: { change: 'added', factor: 'totp' } },
  ],
  [
    { type: 'factor.removed', detail: 'operator root: passkey fac_a' },
    { purpose: 'factor_changed', about: { change: 'removed', factor: 'passkey' } },
  ],
  [
    { type: 'factor.updated', detail: 'recovery_codes fac_b' },
    { purpose: 'factor_changed', about: { change: 'added', factor: 'recovery_codes' } },
  ],
  [{ type: 'factor.updated', detail: 'totp fac_a' }, undefined],
  [{ type: 'factor.guessed' }, { purpose: 'many_wrong_codes' }],
  [{ type: 'session.reused' }, { purpose: 'refresh_token_reused' }],
  [{ type: 'user.email_changed' }, { purpose: 'email_changed' }],
  [{ type: 'user.renamed' }, { purpose: 'username_changed' }],
  [{ type: 'user.updated', detail: 'operator root: email full_name' }, { purpose: 'email_changed' }],
  [{ type: 'user.updated', detail: 'client console: username' }, { purpose: 'username_changed' }],
  [{ type: 'user.updated', detail: 'client email: roles' }, undefined],
  [{ type: 'user.updated', detail: 'full_name' }, undefined],
  [{ type: 'session.revoked' }, undefined],
  [{ type: 'session.raised' }, undefined],
] as const) {
  test(`${given.type} ${'detail' in given ? given.detail : ''} is told as ${JSON.stringify(notice)}`, t => {
    t.deepEqual(noticeOf(event(given)), notice)
  })
}

const firefox = (version: string) => `Mozilla/5.0 (X11; Linux x86_64; rv:${version}) Gecko/20100101 Firefox/${version}`

const session = (id: string, ip: string, more: Partial<Session> = {}): Session => ({
  ...createSession(
    {
      id,
      userId: 'usr_a',
      clientId: 'app',
      scope: '',
      audience: [],
      amr: ['pwd'],
      device: undefined,
      ip,
      userAgent: firefox('140'),
    },
    start,
    { idleLifetime: 60, absoluteLifetime: 60 },
  ),
  ...more,
})

test('a sign-in is strange where neither its network nor its device was seen with the user before; the first one is not', t => {
  const old = session('old', '192.0.2.1', { createdAt: start - 60 })
  const earlier = [event({ ip: '192.0.2.1' })]
  const judge = (ip: string, userAgent: string, more: Partial<Session> = {}) => {
    const begun = session('new', ip, { userAgent, ...more })
    return isStrange(event({ ip, sessionId: 'new' }), begun, earlier, [begun, old])
  }
  t.true(judge('198.51.100.9', 'curl/8.0'))
  t.false(judge('192.0.2.1', 'curl/8.0'), 'a network that is known')
  t.false(judge('198.51.100.9', firefox('141')), 'the same browser, brought up to date')
  t.true(judge('198.51.100.9', firefox('140'), { device: 'Pixel of Eve' }))
  const begun = session('new', '198.51.100.9', { userAgent: 'curl/8.0' })
  const signIn = event({ ip: '198.51.100.9', sessionId: 'new' })
  t.false(isStrange(signIn, begun, [], [begun]))
  t.true(isStrange(signIn, undefined, earlier, []), 'a session that is gone already')
  t.true(isStrange(signIn, begun, earlier, [begun]), 'the one before has been forgotten, and what it came from has not')
  t.false(isStrange(signIn, begun, [event({ ip: '198.51.100.9' })], [begun]))
  // What came after it is no witness for it.
  const later = session('later', '198.51.100.9', { createdAt: start + 60 })
  t.true(isStrange(signIn, begun, earlier, [later, begun, old]))
})

test('addresses of one IPv6 network are one place, and are told as it', t => {
  const old = session('old', '2001:db8:1:2::7', { createdAt: start - 60, userAgent: undefined })
  const ip = '2001:db8:1:2:a:b:c:d'
  const begun = session('new', ip, { userAgent: 'curl/8.0' })
  t.false(isStrange(event({ ip, sessionId: 'new' }), begun, [event({})], [begun, old]))
  t.deepEqual(placeOf(event({ ip, clientId: 'app' }), begun), {
    at: `${start}`,
    network: '2001:db8:1:2::/64',
    device: 'curl/8.0',
    client_id: 'app',
  })
  t.deepEqual(placeOf(event({}), undefined), { at: `${start}` })
})
