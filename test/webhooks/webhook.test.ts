/** What a webhook may be, when it is tried again, and how its events are signed. */
import { createHmac } from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import { createWebhookSecret, messageOf, openWebhookSecret, sealWebhookSecret } from '../../src/webhooks/signature.ts'
import { failed, isSameProgress, type Progress, passed, wants, webhookUrlProblem } from '../../src/webhooks/webhook.ts'
import { createTestRandom, createTestSecrets, startTime } from '../_server.ts'

const day = 86_400
const event = { id: 7, at: startTime, type: 'user.removed', userId: 'usr_x' } as const

test('a webhook is at an https address; at an http one of this machine where private ones are allowed', t => {
  for (const good of ['https://crm.example.com/hooks/latchkey?tenant=1', 'https://10.0.0.1:8443/', 'https://[::1]/x'])
    for (const allow of [true, false]) t.is(webhookUrlProblem(good, allow), undefined, good)
  for (const local of ['http://127.0.0.1:9000/', 'http://localhost/x', 'http://[::1]:1/', 'http://127.1/']) {
    t.is(webhookUrlProblem(local, true), undefined, local)
    t.regex(webhookUrlProblem(local, false)!, /LATCHKEY_PRIVATE_WEBHOOKS/, local)
  }
  for (const bad of [
    'http://crm.example.com/',
    'http://10.0.0.1/',
    'http://127.evil.example/',
    'ftp://crm.example.com/',
    'https:crm.example.com',
    'https://user:secret@crm.example.com/',
    'https://crm.example.com/#x',
    'https://crm.example.com/a b',
    'https://',
    '',
    `https://crm.example.com/${'x'.repeat(2048)}`,
  ])
    for (const allow of [true, false]) t.not(webhookUrlProblem(bad, allow), undefined, bad)
})

test('a webhook wants the types that it names, what begins with the name of several, and all where it names none', t => {
  const is = (types: string[]) =>
    (['user.removed', 'user.created', 'session.created'] as const).map(type => wants({ types }, type))
  t.deepEqual(is([]), [true, true, true])
  t.deepEqual(is(['user']), [true, true, false])
  t.deepEqual(is(['user.removed', 'session']), [true, false, true])
  t.deepEqual(is(['use', 'user.']), [false, false, false])
})

test('property: pauses grow to an hour, give or take a quarter; what asks for more gets it, and three days of nothing are the end', t => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 120, maxLength: 120 }), randoms => {
      let progress: Progress = { attempts: 0 }
      let now = startTime
      for (const [i, random] of randoms.entries()) {
        progress = failed(progress, { error: 'it answered 500' }, now, random)
        const pause = progress.nextAttemptAt! - now
        const whole = Math.min(3600, 5 * 2 ** i)
        if (pause < Math.floor(0.75 * whole) || pause > Math.ceil(1.25 * whole)) return false
        if (progress.failingSince !== startTime || progress.attempts !== i + 1) return false
        if ((progress.failedAt !== undefined) !== now - startTime >= 3 * day) return false
        if (progress.failedAt !== undefined) return i > 50
        now = progress.nextAttemptAt!
      }
      return false
    }),
  )
  const asked = (retryAfter: number) =>
    failed({ attempts: 0 }, { error: '', retryAfter }, startTime, 0.5).nextAttemptAt! - startTime
  t.deepEqual([asked(0), asked(600), asked(999_999)], [5, 600, day])
})

test('a server that was off for a week gives nobody up at its first attempt; one that is told 410 does at once', t => {
  const off: Progress = { attempts: 1, failingSince: startTime }
  t.is(failed(off, { error: '' }, startTime + 7 * day, 0).failedAt, undefined)
  t.is(failed({ ...off, attempts: 9 }, { error: '' }, startTime + 7 * day, 0).failedAt, startTime + 7 * day)
  t.is(failed({ attempts: 0 }, { error: '', isFinal: true }, startTime, 0).failedAt, startTime)
  t.deepEqual(passed(event), { after: { id: 7, at: startTime }, attempts: 0 })
  t.false(isSameProgress(off, { ...off, attempts: 2 }))
  t.true(isSameProgress({ after: { id: 7, at: 1 }, attempts: 0 }, { after: { id: 7, at: 1 }, attempts: 0 }))
})

test('an event is signed over its id, the time of the attempt and its bytes, by every secret that is live (Standard Webhooks, signature scheme)', t => {
  const secrets = ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', createWebhookSecret(createTestRandom())]
  const { headers, body } = messageOf(event, secrets, startTime + 60)
  const expected = secrets.map(secret => {
    const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
    return `v1,${createHmac('sha256', key)
      .update(`evt_7_${startTime}.${startTime + 60}.${body}`)
      .digest('base64')}`
  })
  t.deepEqual(headers, {
    'webhook-id': `evt_7_${startTime}`,
    'webhook-timestamp': String(startTime + 60),
    'webhook-signature': expected.join(' '),
  })
  t.deepEqual(JSON.parse(body), {
    type: 'user.removed',
    timestamp: '2027-01-15T08:00:00.000Z',
    data: {
      id: `evt_7_${startTime}`,
      at: startTime,
      type: 'user.removed',
      user_id: 'usr_x',
      client_id: null,
      session_id: null,
      ip: null,
      request_id: null,
      detail: null,
      count: 1,
    },
  })
  // Between 24 and 64 bytes.
  t.regex(secrets[1]!, /^whsec_[A-Za-z0-9+/]{43}=$/)
})

test('a secret is sealed for its webhook alone, under the newest master secret, and lost with that', t => {
  const [old, both] = [createTestSecrets('old'), createTestSecrets('new', 'old')]
  const sealed = sealWebhookSecret('whsec_x', 'whk_a', old, createTestRandom())
  t.false(sealed.includes('whsec'))
  t.is(openWebhookSecret(sealed, 'whk_a', both), 'whsec_x')
  t.is(openWebhookSecret(sealed, 'whk_b', both), undefined)
  t.is(openWebhookSecret(sealed, 'whk_a', createTestSecrets('new')), undefined)
})
