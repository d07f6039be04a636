/** What a mail that waits is made into when it is sent: whom it goes to, its link, its code, its texts. */
import type { ClientStorage } from '../clients/storage.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import type { Language } from '../pages/language.ts'
import type { UserStorage } from '../users/storage.ts'
import type { User } from '../users/user.ts'
import { mailCode } from './code.ts'
import { formatLink, hasLink, linkLifetimes, type MailLink } from './link.ts'
import type { Mail, MailPurpose } from './mail.ts'
import type { Sender } from './mail_html.ts'
import { composeMail } from './mails.ts'
import type { Letter } from './smtp.ts'

export type LetterDeps = Readonly<{
  config: Readonly<{ mailLanguage: Language }>
  storage: Pick<UserStorage, 'findUser' | 'findUserOfAddress'> & Pick<ClientStorage, 'findClient'>
  /** Asked each time: they may be replaced. */
  secrets: MasterSecrets
  /** Seconds since the epoch. */
  now: () => number
  randomBytes: (size: number) => Buffer
}>

/** @returns undefined for a mail that goes to nobody: there is no such user any more, or there never was, or none with an address */
export async function composeLetter(deps: LetterDeps, sender: Sender, waiting: Mail): Promise<Letter | undefined> {
  const { mail, user } = await addressee(deps, waiting)
  const address = mail.address ?? user?.email
  if (address === undefined || (mail.userId !== undefined && user === undefined)) return undefined
  // Whoever is disabled has no use for it.
  if (mail.purpose === 'password_reset' && user?.disabledAt !== undefined) return undefined
  const language = user?.language ?? mail.language ?? deps.config.mailLanguage
  const app = mail.about?.client_id && (await deps.storage.findClient(mail.about.client_id))
  const composed = composeMail(sender, {
    mail,
    language,
    username: user?.username,
    deleteAt: user?.deleteAt,
    app: app ? (app.name ?? app.id) : undefined,
    ...secretsOf(deps, sender, mail, user, address),
  })
  return { id: waiting.id, address, language, ...composed }
}

/** Whether the address of who signs up has an account is looked up only now: whoever asked for the mail is answered the same. */
async function addressee({ storage }: LetterDeps, mail: Mail): Promise<{ mail: Mail; user?: User | undefined }> {
  if (mail.userId !== undefined) return { mail, user: await storage.findUser(mail.userId) }
  if (mail.purpose !== 'sign_up' || mail.address === undefined) return { mail }
  const user = await storage.findUserOfAddress(mail.address)
  return user === undefined ? { mail } : { mail: { ...mail, purpose: 'sign_up_known' }, user }
}

/** Where somebody waits for the code of a mail that asked for it. */
const withCode: readonly MailPurpose[] = ['password_reset', 'email_verification', 'email_change', 'sign_up']

/** The link and the code of a mail: one proof, whose id is that of the mail unless it says another one. */
function secretsOf(deps: LetterDeps, { issuer }: Sender, mail: Mail, user: User | undefined, address: string) {
  const { id, purpose, about = {}, createdAt } = mail
  if (!hasLink(purpose)) return {}
  const { challenge_id: challengeId = id, ...rest } = about
  const subject = { purpose, userId: user?.id, credentialVersion: user?.credentialVersion, address }
  const at = deps.now()
  const link = { ...subject, id: challengeId, about: rest, expiresAt: at + linkLifetimes[purpose] }
  return {
    link: `${issuer}/mail/${purpose}?token=${formatLink(untilSaid(link), deps)}`,
    // Whoever waits for it has given up by then.
    ...(withCode.includes(purpose) &&
      at < createdAt + linkLifetimes[purpose] && { code: mailCode({ ...subject, challengeId }, deps.secrets) }),
  }
}

/** How long an invitation is good its operator says. */
function untilSaid(link: MailLink): MailLink {
  const said = link.about?.expires_at
  return said === undefined ? link : { ...link, expiresAt: Number(said) }
}
