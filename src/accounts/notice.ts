/** What of the audit trail the owner of an account is told, and in which words of it. Pure. */
import type { AuditEvent } from '../audit/audit.ts'
import type { MailAbout, MailPurpose } from '../mail/mail.ts'
import { nameUserAgent } from '../pages/user_agents.ts'
import type { Session } from '../sessions/session.ts'
import { networksOf } from '../throttle/network.ts'

export type Notice = Readonly<{ purpose: MailPurpose; about?: MailAbout }>

/** @returns undefined for what its owner is not told; a sign-in is only told where {@link isStrange} finds it so */
export function noticeOf({ type, detail = '' }: AuditEvent): Notice | undefined {
  switch (type) {
    case 'session.created':
      return { purpose: 'new_device' }
    case 'user.password_changed':
    case 'user.password_reset':
      return { purpose: 'password_changed' }
    case 'factor.added':
      return factorNotice(detail, 'added')
    case 'factor.removed':
      return factorNotice(detail, 'removed')
    case 'factor.updated':
      // Codes in the place of those that there were; another name of a factor changes nothing.
      return kindIn(detail) === 'recovery_codes' ? factorNotice(detail, 'added') : undefined
    case 'factor.guessed':
      return { purpose: 'many_wrong_codes' }
    case 'session.reused':
      return { purpose: 'refresh_token_reused' }
    case 'user.email_changed':
      return { purpose: 'email_changed' }
    case 'user.renamed':
      return { purpose: 'username_changed' }
    case 'user.updated':
      return operatorsNotice(detail)
    default:
      return undefined
  }
}

/** What an operator has changed stands behind who that was. */
function operatorsNotice(detail: string): Notice | undefined {
  const members = detail.slice(detail.lastIndexOf(': ') + 1).split(' ')
  if (members.includes('email')) return { purpose: 'email_changed' }
  return members.includes('username') ? { purpose: 'username_changed' } : undefined
}

function factorNotice(detail: string, change: 'added' | 'removed'): Notice {
  const kind = kindIn(detail)
  return { purpose: 'factor_changed', about: { change, ...(kind !== undefined && { factor: kind }) } }
}

/** Of several, such as a first factor with its recovery codes, the first. */
function kindIn(detail: string): string | undefined {
  return /\b(totp|passkey|recovery_codes) fac_/.exec(detail)?.[1]
}

/** When, from where and by what, as far as it is known. @param session of the event */
export function placeOf({ at, ip, clientId }: AuditEvent, session: Session | undefined): MailAbout {
  const device = session?.device ?? session?.userAgent
  return {
    at: `${at}`,
    ...(ip !== undefined && { network: formatNetwork(ip) }),
    ...(device !== undefined && { device }),
    ...(clientId !== undefined && { client_id: clientId }),
  }
}

/** An IPv6 address changes within its network, often by the day. */
function formatNetwork(ip: string): string {
  const { network, site } = networksOf(ip)
  return site === undefined ? network : `${network}::/64`
}

/**
 * Whether somebody has signed in from a network and with a device neither of which the user has had before.
 *
 * @param session  that has begun; undefined where it is gone already
 * @param earlier  sign-ins of the user before it; where there are none it is the first one, and nobody else's
 * @param sessions of the user, in any order
 */
export function isStrange(
  { ip, sessionId }: AuditEvent,
  session: Session | undefined,
  earlier: readonly AuditEvent[],
  sessions: readonly Session[],
): boolean {
  if (earlier.length === 0) return false
  const others = sessions.filter(
    ({ id, createdAt }) => id !== sessionId && createdAt <= (session?.createdAt ?? createdAt),
  )
  const addresses = [...earlier.map(event => event.ip), ...others.flatMap(other => [other.ip, other.ipBefore])]
  const { network } = networksOf(ip)
  if (addresses.some(address => address !== undefined && networksOf(address).network === network)) return false
  const device = session && deviceOf(session)
  return device === undefined || !others.some(other => deviceOf(other) === device)
}

/** A browser that was brought up to date is the one that it was. */
function deviceOf({ device, userAgent }: Session): string | undefined {
  if (device !== undefined || userAgent === undefined) return device
  const named = nameUserAgent(userAgent)
  return named === undefined ? userAgent : JSON.stringify(named)
}
