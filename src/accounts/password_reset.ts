/**
 * A forgotten password: a mail is asked for, and whoever has it chooses another one. NIST SP 800-63B-4 §4.2; OWASP Forgot Password Cheat
 * Sheet. Nobody is signed in by that, and no factor goes: who asks for them is `oauth/password_reset.ts`.
 */
import { type AuditEvent, auditEvent, type Caller } from '../audit/audit.ts'
import { OAuthError } from '../error.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { createChallenge, formatChallenge } from '../mail/code.ts'
import { linkLifetimes, type MailLink } from '../mail/link.ts'
import { createMail } from '../mail/mail.ts'
import type { MailStorage } from '../mail/storage.ts'
import { cutFarTooLong } from '../normal_form.ts'
import type { Language } from '../pages/language.ts'
import type { SessionStorage } from '../sessions/storage.ts'
import type { UserDecision } from '../sessions/user_change.ts'
import { maxSignInName } from '../text.ts'
import type { Throttle } from '../throttle/throttle.ts'
import { type FactorUse, spendAll } from '../users/factors/factor.ts'
import type { UserStorage } from '../users/storage.ts'
import { withNewCredentials } from '../users/user.ts'
import { isLinkOf } from './mail_proof.ts'

export type ResetRequestDeps = Readonly<{
  storage: Pick<UserStorage, 'findUserToSignIn'> & Pick<MailStorage, 'addMail'>
  throttle: Pick<Throttle, 'mail'>
  secrets: MasterSecrets
  now: () => number
  randomBytes: (size: number) => Buffer
}>

/** Seconds until there may be room for another mail. */
const retryAfter = 60

export type ResetRequest = Readonly<{
  /** A username or an address, as it was typed. */
  name: string
  /** Of the app that asks; undefined for a page. */
  clientId: string | undefined
  /** Of the page or app, for a user who has chosen none. */
  language: Language | undefined
}>

/**
 * Puts a mail among those to be sent, for whoever has that name or address; for nobody in the same way. Users without an address, and
 * disabled ones, are nobody here.
 *
 * @returns the challenge that waits for its code, and seconds until that is over
 * @throws OAuthError `too_many_attempts`, by the name that was typed and the network; `temporarily_unavailable` when too many mails wait
 */
export async function requestPasswordReset(
  deps: ResetRequestDeps,
  { name, clientId, language }: ResetRequest,
  caller: Caller,
): Promise<Readonly<{ challenge: string; expiresIn: number }>> {
  const { storage, now, randomBytes } = deps
  const typed = cutFarTooLong(name, maxSignInName)
  await deps.throttle.mail(typed, caller)
  // Also by an address where nobody signs in by one: who has forgotten the password may have forgotten the name.
  const found = await storage.findUserToSignIn(typed, 'both')
  const user = found?.email === undefined || found.disabledAt !== undefined ? undefined : found
  const expiresIn = linkLifetimes.password_reset
  const challenge = createChallenge(
    { purpose: 'password_reset', clientId, userId: user?.id, expiresAt: now() + expiresIn },
    randomBytes,
  )
  const about = { challenge_id: challenge.id, ...(clientId !== undefined && { client_id: clientId }) }
  const mail = createMail('password_reset', { userId: user?.id, language, about }, deps)
  if (!(await storage.addMail(mail)))
    throw new OAuthError('temporarily_unavailable', 'too many mails wait to be sent; try again later', { retryAfter })
  return { challenge: formatChallenge(challenge, deps), expiresIn }
}

export type NewPassword = Readonly<{
  /** What shows that it may be set. */
  link: MailLink
  passwordHash: string
  /** What was proved beside, which is used up by it. */
  uses: readonly FactorUse[]
}>

/**
 * Sets the password that somebody has chosen who had a mail: it ends all sessions of the user. Whoever had it by mail has proved to read
 * what is sent to that address, unless it is another user's by now; the link of an operator was sent by other ways.
 *
 * @param clientId of the app that asks; undefined for a page
 * @returns `over` where another change was first; `used` where what was proved beside has been used up
 */
export async function resetPassword(
  { storage, now }: Readonly<{ storage: SessionStorage; now: () => number }>,
  password: NewPassword,
  clientId: string | undefined,
  caller: Caller,
): Promise<'done' | 'over' | 'used'> {
  const { userId = '', address, about } = password.link
  const isOperators = about?.by === 'operator'
  const detail = isOperators ? 'by the link of an operator' : undefined
  const event = auditEvent('user.password_reset', now(), caller, { userId, clientId, detail })
  const outcome =
    isOperators || address === undefined
      ? 'taken'
      : await storage.changeEmail<'done' | 'over' | 'used' | 'taken'>(
          userId,
          passwordReset(password, event, event.at),
          'taken',
        )
  return outcome === 'taken' ? storage.changeUser(userId, passwordReset(password, event)) : outcome
}

/** @param provedAt when it was proved that the user reads what is sent to the address, where it was */
function passwordReset(
  { link, passwordHash, uses }: NewPassword,
  event: AuditEvent,
  provedAt?: number,
): UserDecision<'done' | 'over' | 'used'> {
  return (user, _session, factors) => {
    if (user === undefined || !isLinkOf(link, user)) return { outcome: 'over' }
    const spent = spendAll(factors, uses)
    if (spent === undefined) return { outcome: 'used' }
    const emailVerifiedAt = user.emailVerifiedAt ?? provedAt
    const proved = emailVerifiedAt === undefined ? {} : { emailVerifiedAt }
    const changed = { ...withNewCredentials(user), passwordHash, ...proved }
    const endSessions = { reason: 'password_changed', at: event.at } as const
    return { outcome: 'done', user: changed, factors: { put: spent }, endSessions, event }
  }
}
