/** Links and codes in mails: NIST SP 800-63B-4 §4.2.1.2. */
import test from 'ava'
import {
  type CodeSubject,
  createChallenge,
  formatChallenge,
  isMailCode,
  mailCode,
  parseChallenge,
} from '../../src/mail/code.ts'
import { formatLink, hasLink, linkLifetimes, type MailLink, parseLink } from '../../src/mail/link.ts'
import { mailPurposes, notices } from '../../src/mail/mail.ts'
import { createTestRandom, createTestSecrets, startTime } from '../_server.ts'

const randomBytes = createTestRandom('codes')
const secrets = createTestSecrets()
const subject: CodeSubject = {
  challengeId: 'c1',
  purpose: 'password_reset',
  userId: 'usr_a',
  credentialVersion: 1,
  address: 'Alice@Example.com',
}
const others: readonly Partial<CodeSubject>[] = [
  { challengeId: 'c2' },
  { purpose: 'email_verification' },
  { userId: 'usr_b' },
  { userId: undefined },
  { credentialVersion: 2 },
  { address: 'alice@example.org' },
]
const link: MailLink = { id: 'l1', purpose: 'password_reset', userId: 'usr_a', expiresAt: startTime }

test('a code has eight digits, is right with blanks and hyphens, and follows from all that it stands for', t => {
  const code = mailCode(subject, secrets)
  t.regex(code, /^\d{8}$/)
  for (const typed of [
    code,
    ` ${code} `,
    `${code.slice(0, 4)} ${code.slice(4)}`,
    `${code.slice(0, 4)}-${code.slice(4)}`,
  ])
    t.true(isMailCode(typed, subject, secrets), typed)
  for (const change of others) t.false(isMailCode(code, { ...subject, ...change }, secrets), JSON.stringify(change))
})

test('what is no code is refused, whatever it is', t => {
  const code = mailCode(subject, secrets)
  const texts = [
    '',
    ' ',
    code.slice(1),
    `${code}0`,
    `${code}${' '.repeat(99)}`,
    `x${code.slice(1)}`,
    '１２３４５６７８',
    'é'.repeat(4),
  ]
  for (const text of texts) t.false(isMailCode(text, subject, secrets), text)
})

test('a code is that of any master secret which is still there, and of no other', t => {
  const [older, newer] = [createTestSecrets('older'), createTestSecrets('newer', 'older')]
  t.true(isMailCode(mailCode(subject, older), subject, newer))
  t.true(isMailCode(mailCode(subject, newer), subject, newer))
  t.false(isMailCode(mailCode(subject, older), subject, createTestSecrets('newer')))
})

test('codes are spread over all that there are', t => {
  const codes = Array.from({ length: 1000 }, (_, i) => mailCode({ ...subject, challengeId: String(i) }, secrets))
  t.true(new Set(codes).size > 990)
  for (const digit of '0123456789') t.true(codes.some(code => code.startsWith(digit)))
})

test('a challenge says what it was made of to this server alone, and is as long for somebody as for nobody', t => {
  const given = { purpose: 'password_reset', userId: 'usr_AAAAAAAAAAAAAAAAAAAAAA', expiresAt: startTime } as const
  const challenge = createChallenge(given, randomBytes)
  const text = formatChallenge(challenge, { secrets, randomBytes })
  t.deepEqual(parseChallenge(text, 'password_reset', secrets), challenge)
  t.is(parseChallenge(text, 'sign_up', secrets), undefined)
  t.is(parseChallenge(text, 'password_reset', createTestSecrets('another')), undefined)
  const ofNobody = createChallenge({ ...given, userId: undefined }, randomBytes)
  t.is(formatChallenge(ofNobody, { secrets, randomBytes }).length, text.length)
})

test('a link is one of its purpose and of this server, and no challenge stands in for it', t => {
  const text = formatLink(link, { secrets, randomBytes })
  t.deepEqual(parseLink(text, 'password_reset', secrets), link)
  t.is(parseLink(text, 'invitation', secrets), undefined)
  t.is(parseLink(text, 'password_reset', createTestSecrets('another')), undefined)
  t.is(parseChallenge(text.replace('lkm_', 'lkv_'), 'password_reset', secrets), undefined)
  for (let at = 4; at < text.length; at += 7) {
    const changed = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
    t.is(parseLink(changed, 'password_reset', secrets), undefined)
  }
})

test('a notice has no link that allows anything; a link lives no longer than a week (NIST SP 800-63B-4 §4.2.1.2)', t => {
  for (const purpose of notices) t.false(hasLink(purpose))
  t.is(notices.length, 7)
  t.true(mailPurposes.length > notices.length)
  for (const seconds of Object.values(linkLifetimes)) t.true(seconds <= 7 * 86_400)
})
