/** Invitations: an operator lets somebody make an account, whether people may sign up by themselves or not. */
import { askForMail } from '../accounts/ask_for_mail.ts'
import { formatLink, linkLifetimes } from '../mail/link.ts'
import { createMail } from '../mail/mail.ts'
import { mailPath, paths } from '../pages/paths.ts'
import { type Actor, actorEvent, type Needs } from './deps.ts'
import { Conflict, InvalidMember } from './error.ts'
import { readNewUser, readUserUpdate } from './users.ts'

/** Seconds that an invitation may be good for. */
export const minInvitation = 3600
export const maxInvitation = 30 * 86_400

/** Bytes of what is in the link, which has to fit into a cookie along with its encryption. */
const maxAbout = 2048

/** What an operator says of who is invited, in the members of the JSON document. */
export type InvitationSettings = Readonly<{
  email: string
  /** What the person is offered, and may replace. */
  username?: string | undefined
  full_name?: string | undefined
  /** What the person gets. */
  roles?: readonly string[] | undefined
  /** Seconds. */
  lifetime?: number | undefined
  /** Not mailed: the answer has the link. */
  print?: boolean | undefined
}>

export type InvitationDocument = Readonly<{
  /** What the audit trail calls it. */
  id: string
  email: string
  /** Seconds since the epoch. */
  expires_at: number
  mailed: boolean
  /** A secret, where it is not mailed. */
  link: string | null
}>

/**
 * Nothing of it is stored but a mail that waits: what was said is in the link. Older invitations of the same person stay good until one
 * of them is used, for the address has an account then.
 *
 * @param server.issuer where links lead to
 * @throws InvalidMember, Conflict for an address or a username that somebody has, OAuthError `temporarily_unavailable` when too many mails wait
 */
export async function inviteUser(
  { storage, secrets, now, randomBytes }: Needs<'storage' | 'secrets' | 'now' | 'randomBytes'>,
  given: InvitationSettings,
  server: Readonly<{ issuer: string; hasMail: boolean }>,
  actor: Actor,
): Promise<InvitationDocument> {
  const { lifetime = linkLifetimes.invitation } = given
  if (!Number.isSafeInteger(lifetime) || lifetime < minInvitation || lifetime > maxInvitation)
    throw new InvalidMember('lifetime', `it takes seconds, from ${minInvitation} to ${maxInvitation}`, `${lifetime}`)
  const { email, fullName, roles } = readUserUpdate(given)
  if (email === undefined) throw new InvalidMember('email', 'is missing')
  const username = given.username === undefined ? undefined : readNewUser({ username: given.username }).username
  if ((await storage.findUserOfAddress(email)) !== undefined)
    throw new Conflict('email_taken', `the address ${email} has an account`)
  if (username !== undefined && (await storage.findUserByUsername(username)) !== undefined)
    throw new Conflict('username_taken', `the username ${username} is taken`)
  const expiresAt = now() + lifetime
  const about = {
    ...(username !== undefined && { username }),
    ...(fullName !== undefined && { full_name: fullName }),
    ...(roles !== undefined && { roles: roles.join(' ') }),
    expires_at: `${expiresAt}`,
  }
  if (Buffer.byteLength(JSON.stringify(about)) > maxAbout)
    throw new InvalidMember('roles', 'are more than a link has room for')
  const mail = createMail('invitation', { address: email, about }, { now, randomBytes })
  const { id } = mail
  const event = actorEvent(actor, 'user.invited', now(), { detail: `invitation ${id}` })
  const document = { id, email, expires_at: expiresAt }
  if (server.hasMail && given.print !== true) {
    await askForMail(storage, mail, event)
    return { ...document, mailed: true, link: null }
  }
  const token = formatLink(
    { id, purpose: 'invitation', address: email, about, expiresAt },
    { secrets: await secrets(), randomBytes },
  )
  await storage.addAuditEvents([event])
  return { ...document, mailed: false, link: `${server.issuer}${mailPath(paths, 'invitation')}?token=${token}` }
}
