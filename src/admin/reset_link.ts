/** A link by which a user chooses another password, for an operator to hand over: also where no mails are sent. */
import { formatLink, linkLifetimes } from '../mail/link.ts'
import { mailPath, paths } from '../pages/paths.ts'
import { type Actor, actorEvent, type Needs } from './deps.ts'
import { Conflict, InvalidMember } from './error.ts'
import { getUser, type Who } from './users.ts'

/** Seconds that such a link may be good for: whoever reads it elsewhere can use it. */
export const minResetLink = 60
export const maxResetLink = 86_400

export type ResetLinkDocument = Readonly<{
  username: string
  /** A secret. */
  link: string
  /** Seconds since the epoch. */
  expires_at: number
}>

/**
 * Nothing of it is stored. It is used up by the first password that is set by it, and dead after any other change of the password, the
 * factors or the address. The user's second factor is asked for all the same.
 *
 * @param issuer where it leads to. @param lifetime seconds
 * @throws NotFound, InvalidMember, Conflict for a user who is disabled
 */
export async function createResetLink(
  { storage, secrets, now, randomBytes }: Needs<'storage' | 'secrets' | 'now' | 'randomBytes'>,
  who: Who,
  issuer: string,
  lifetime: number = linkLifetimes.password_reset,
  actor: Actor,
): Promise<ResetLinkDocument> {
  if (!Number.isSafeInteger(lifetime) || lifetime < minResetLink || lifetime > maxResetLink)
    throw new InvalidMember('lifetime', `it takes seconds, from ${minResetLink} to ${maxResetLink}`, `${lifetime}`)
  const { id, username, email, credentialVersion, disabledAt } = await getUser({ storage }, who)
  if (disabledAt !== undefined) throw new Conflict('user_disabled', `the user ${username} is disabled`)
  const at = now()
  const expiresAt = at + lifetime
  const token = formatLink(
    {
      id: randomBytes(16).toString('base64url'),
      purpose: 'password_reset',
      userId: id,
      credentialVersion,
      address: email,
      about: { by: 'operator' },
      expiresAt,
    },
    { secrets: await secrets(), randomBytes },
  )
  await storage.addAuditEvents([actorEvent(actor, 'user.reset_link_created', at, { userId: id })])
  return { username, link: `${issuer}${mailPath(paths, 'password_reset')}?token=${token}`, expires_at: expiresAt }
}
