/**
 * The address of an account: its owner proves to read what is sent there, and changes it. The one before stays until the new one is
 * proved, and whoever reads what is sent to the one before can take the change back for a week: it may have been a thief's. NIST SP
 * 800-63B-4 §4.2.1.2 and §4.6.
 */
import { auditEvent, type Caller } from '../audit/audit.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { createChallenge, formatChallenge, parseChallenge } from '../mail/code.ts'
import { type LinkPurpose, linkLifetimes, type MailLink } from '../mail/link.ts'
import { createMail } from '../mail/mail.ts'
import type { MailStorage } from '../mail/storage.ts'
import type { Language } from '../pages/language.ts'
import { missingProof } from '../sessions/factor_change.ts'
import type { SessionStorage } from '../sessions/storage.ts'
import type { Throttle } from '../throttle/throttle.ts'
import { readEmail } from '../users/email.ts'
import type { FactorStorage } from '../users/factors/storage.ts'
import type { User } from '../users/user.ts'
import { askForMail } from './ask_for_mail.ts'
import {
  type ChangeUndone,
  type EmailChanged,
  type EmailVerified,
  emailChange,
  emailChangeUndo,
  emailVerification,
  mailableAddress,
  maxEmailChanges,
  recentChanges,
  undoLifetime,
} from './email_change.ts'
import type { AccountRefusal, SignedInUser } from './signed_in.ts'

export type EmailRequestDeps = Readonly<{
  storage: Pick<MailStorage, 'addMail'> & Pick<FactorStorage, 'listFactors'>
  throttle: Pick<Throttle, 'mail'>
  secrets: MasterSecrets
  now: () => number
  randomBytes: (size: number) => Buffer
}>

/** Who asks for a mail: an app by its id, or a page; and what the person reads. */
export type AskedBy = Readonly<{ clientId: string | undefined; language: Language | undefined }>

/** The challenge that waits for the code of the mail, and seconds until that is over. */
type Waiting = Readonly<{ kind: 'waiting'; challenge: string; expiresIn: number }>

/** @throws OAuthError `too_many_attempts`; `temporarily_unavailable` when too many mails wait */
export async function requestVerification(
  deps: EmailRequestDeps,
  user: User,
  asked: AskedBy,
  caller: Caller,
): Promise<Waiting | Readonly<{ kind: 'no_address' | 'verified' }>> {
  const address = mailableAddress(user)
  if (address === undefined) return { kind: 'no_address' }
  if (user.emailVerifiedAt !== undefined) return { kind: 'verified' }
  return mailTo(deps, 'email_verification', { user, address }, asked, caller)
}

/**
 * Asks who is signed in to prove a new address, which takes a sign-in of the last ten minutes, with the second factor where there is one.
 * Whether somebody else has it is asked when it is proved, and told to nobody but who reads what is sent there.
 *
 * @param email as it was typed
 * @throws OAuthError as for {@link requestVerification}
 */
export async function requestEmailChange(
  deps: EmailRequestDeps,
  { user, session }: SignedInUser,
  email: string,
  asked: AskedBy,
  caller: Caller,
): Promise<
  | Waiting
  | AccountRefusal
  | Readonly<{ kind: 'invalid'; problem: string }>
  | Readonly<{ kind: 'same' }>
  | Readonly<{ kind: 'too_many'; retryAfter: number }>
> {
  const at = deps.now()
  const missing = missingProof(session, await deps.storage.listFactors(user.id), at)
  if (missing?.kind === 'proof_needed') return missing
  const { text: address, problem } = readEmail(email)
  if (address === undefined) return { kind: 'invalid', problem }
  if (address === user.email) return { kind: 'same' }
  const recent = recentChanges(user, at)
  if (recent.length >= maxEmailChanges) return { kind: 'too_many', retryAfter: recent[0]!.at + undoLifetime - at }
  return mailTo(deps, 'email_change', { user, address }, asked, caller)
}

async function mailTo(
  deps: EmailRequestDeps,
  purpose: LinkPurpose & ('email_verification' | 'email_change'),
  { user, address }: Readonly<{ user: User; address: string }>,
  { clientId, language }: AskedBy,
  caller: Caller,
): Promise<Waiting> {
  await deps.throttle.mail(address, caller)
  const expiresIn = linkLifetimes[purpose]
  const expiresAt = deps.now() + expiresIn
  const challenge = createChallenge({ purpose, clientId, userId: user.id, address, expiresAt }, deps.randomBytes)
  // Its link and its code are one proof.
  await askForMail(deps.storage, {
    ...createMail(purpose, { userId: user.id, address, language }, deps),
    id: challenge.id,
  })
  return { kind: 'waiting', challenge: formatChallenge(challenge, deps), expiresIn }
}

export type EmailDeps = Readonly<{
  config: Readonly<{ hasMail: boolean }>
  storage: Pick<SessionStorage, 'changeEmail'>
  now: () => number
  randomBytes: (size: number) => Buffer
}>

/**
 * Whether what waits for a code has come to its end before, and only the answer was lost: the user has the address, and no code is right
 * any more.
 */
export function hasChanged(
  { secrets }: Readonly<{ secrets: MasterSecrets }>,
  { id, email, emailVerifiedAt }: User,
  challenge: string,
): boolean {
  const waiting = parseChallenge(challenge, 'email_change', secrets)
  return waiting?.userId === id && waiting.address === email && emailVerifiedAt !== undefined
}

/** @param link of the purpose `email_verification`, of who has the mail, who need not be signed in */
export function verifyEmail(
  { storage, now }: Pick<EmailDeps, 'storage' | 'now'>,
  link: MailLink,
  caller: Caller,
): Promise<EmailVerified> {
  const { userId = '' } = link
  const event = auditEvent('user.email_verified', now(), caller, { userId })
  return storage.changeEmail<EmailVerified>(userId, emailVerification(link, event), 'taken')
}

/**
 * Gives who is signed in the address that was proved. Not without being signed in: a new address that was mistyped is a stranger's.
 *
 * @param link of the purpose `email_change`, of who has the mail
 */
export function changeEmail(
  deps: EmailDeps,
  { user, session }: SignedInUser,
  link: MailLink,
  caller: Caller,
): Promise<EmailChanged> {
  const about = { userId: user.id, sessionId: session.id, clientId: session.clientId }
  const event = auditEvent('user.email_changed', deps.now(), caller, about)
  const notice = deps.config.hasMail ? createMail('email_change_notice', { userId: user.id }, deps) : undefined
  const decide = emailChange(link, notice, event)
  return deps.storage.changeEmail<EmailChanged>(user.id, decide, { kind: 'taken' }, session.id)
}

/** Takes a change of the address back. @param link of the purpose `email_change_notice` */
export function undoEmailChange(
  { storage, now }: Pick<EmailDeps, 'storage' | 'now'>,
  link: MailLink,
  caller: Caller,
): Promise<ChangeUndone> {
  const { userId = '' } = link
  const event = auditEvent('user.email_change_undone', now(), caller, { userId })
  return storage.changeEmail<ChangeUndone>(userId, emailChangeUndo(link, event), 'taken')
}
