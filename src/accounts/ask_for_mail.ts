/** A mail that somebody asks for, who may be anybody. */
import type { AuditEvent } from '../audit/audit.ts'
import { OAuthError } from '../error.ts'
import type { Mail } from '../mail/mail.ts'
import type { MailStorage } from '../mail/storage.ts'

/** @param event of what it is for. @throws OAuthError `temporarily_unavailable` when too many wait */
export async function askForMail(storage: Pick<MailStorage, 'addMail'>, mail: Mail, event?: AuditEvent): Promise<void> {
  if (await storage.addMail(mail, event)) return
  throw new OAuthError('temporarily_unavailable', 'too many mails wait to be sent; try again later', {
    cause: 'the outbox is full',
    retryAfter: 60,
  })
}
