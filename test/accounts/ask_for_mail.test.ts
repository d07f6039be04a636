/** Mails that anybody can ask for. */
import test from 'ava'
import { askForMail } from '../../src/accounts/ask_for_mail.ts'
import { OAuthError } from '../../src/error.ts'
import { createMail } from '../../src/mail/mail.ts'
import { createTestRandom, startTime } from '../_server.ts'

const mail = createMail('sign_up', {}, { now: () => startTime, randomBytes: createTestRandom('ask') })

test('where too many mails wait, who asks for one is told to come again (RFC 9110 §15.6.4)', async t => {
  const error = await t.throwsAsync(askForMail({ addMail: async () => false }, mail), { instanceOf: OAuthError })
  t.is(error?.code, 'temporarily_unavailable')
  t.is(error?.retryAfter, 60)
  await t.notThrowsAsync(askForMail({ addMail: async () => true }, mail))
})
