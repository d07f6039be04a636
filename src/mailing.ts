/** What sends mails, put together. The only place that loads it, where mails are set up. */

import type { NoticeDeps, Notices } from './accounts/notices.ts'
import type { MailPurpose } from './mail/mail.ts'
import { senderNamed } from './mail/mails.ts'
import type { MailDeps, MailWorker } from './mail/worker.ts'
import type { MailSettings } from './mail_settings.ts'
import type { Brand } from './pages/brand.ts'

type Given = MailDeps & Readonly<{ brand: Brand; config: Readonly<{ issuer: string }> }>

/** @param warn told what an operator should know; never an address */
export async function createMailing(
  deps: Given,
  { smtp: server, from }: MailSettings,
  warn: (about: object, message: string) => void,
): Promise<MailWorker> {
  const [{ createSmtp }, { createMailWorker }] = await Promise.all([
    import('./mail/smtp.ts'),
    import('./mail/worker.ts'),
  ])
  const { issuer } = deps.config
  const sender = { brand: deps.brand, issuer }
  const smtp = createSmtp({ server, from: { name: senderNamed(sender).brand.name, ...from }, issuer })
  return createMailWorker(deps, smtp, sender, warn)
}

/** What tells the owners of accounts what happens to them. @param wanted the kinds of notices; none for nothing to do */
export async function createNotifying(
  deps: NoticeDeps,
  wanted: readonly MailPurpose[],
  warn: (about: object, message: string) => void,
): Promise<Notices | undefined> {
  return wanted.length === 0 ? undefined : (await import('./accounts/notices.ts')).createNotices(deps, wanted, warn)
}
