/** What the doctor finds of mails: whether the server takes them, without sending one, and which wait. */
import type { Config } from '../config.ts'
import { formatSmtpServer, smtpAdvice } from '../mail/smtp_server.ts'
import type { Storage } from '../storage/storage.ts'
import { now } from '../system.ts'
import { type Finding, failed, ok, warning } from './findings.ts'
import { formatTime } from './run.ts'

/** Seconds that a mail may wait before something is wrong: a running server sends it within one. */
const maxWait = 300
/** Seconds of the audit trail that are looked at for mails that were given up, and how many of them. */
const recently = 86_400
const maxGivenUp = 1000

/** Nothing where no mails are sent and none wait. */
export async function examineMail(
  { mail }: Pick<Config, 'mail'>,
  storage: Pick<Storage, 'measureMails' | 'listAuditEvents'>,
): Promise<Finding[]> {
  const { count, oldestAt = 0, lastError } = await storage.measureMails()
  if (mail === undefined) {
    if (count === 0) return []
    return [warning('mails', `${count} wait, and LATCHKEY_SMTP_URL is not set`, 'set it: they are sent then')]
  }
  const { createSmtp } = await import('../mail/smtp.ts')
  const smtp = createSmtp({ server: mail.smtp, from: mail.from, issuer: 'http://localhost' })
  const trouble = await smtp.check()
  smtp.close()
  const server = formatSmtpServer(mail.smtp)
  const how = { implicit: 'by TLS', required: 'by STARTTLS', optional: 'on this machine' }[mail.smtp.tls]
  const signedIn = mail.smtp.credentials === undefined ? '' : ', and takes the user and password'
  const findings = [
    trouble === undefined
      ? ok('mail server', `${server} answers ${how}${signedIn}`)
      : failed('mail server', `${server}: ${trouble.error}`, smtpAdvice(trouble.error, mail.smtp)),
  ]
  const why = lastError === undefined ? '' : `; the last error: ${lastError}`
  findings.push(
    count > 0 && now() - oldestAt > maxWait
      ? warning(
          'mails',
          `${count} ${count === 1 ? 'waits' : 'wait'}, the oldest since ${formatTime(oldestAt)}${why}`,
          'a running server sends them; is one running? They are tried again by themselves, for two days',
        )
      : ok('mails', `${count} wait`),
  )
  const since = now() - recently
  const givenUp = (await storage.listAuditEvents(maxGivenUp, { type: 'mail.given_up', since })).length
  if (givenUp > 0)
    findings.push(warning('mails given up', `${givenUp} within a day`, 'latchkey audit --type mail.given_up says why'))
  return findings
}
