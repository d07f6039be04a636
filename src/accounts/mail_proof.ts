/** Who has got a mail shows it: by its link, or by its code and the challenge that was waiting for it. Both come to the same proof. */
import { OAuthError } from '../error.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import { secretNameOf } from '../keys/sealed_token.ts'
import { insistThatNoOtherHas } from '../keys/secret_use.ts'
import type { KeyStorage, OnceStorage } from '../keys/storage.ts'
import { isMailCode, parseChallenge } from '../mail/code.ts'
import { type LinkPurpose, linkUse, type MailLink, parseLink } from '../mail/link.ts'
import { emailKey } from '../text.ts'
import type { UserStorage } from '../users/storage.ts'
import type { User } from '../users/user.ts'

export type MailProofDeps = Readonly<{
  secrets: MasterSecrets
  storage: OnceStorage & Pick<KeyStorage, 'listMasterSecretUses'> & Pick<UserStorage, 'findUser'>
  now: () => number
}>

/** Wrong codes that end a challenge. Who asks for how many challenges is the throttle's to bound. */
export const maxWrongCodes = 5

/** What a text that came as the token of a link is. `broken` is no link of this server and purpose, or not all of it. */
export type LinkRead = Readonly<{ kind: 'broken' | 'expired' | 'used' }> | Readonly<{ kind: 'good'; link: MailLink }>

export async function readLink(deps: MailProofDeps, purpose: LinkPurpose, text: string): Promise<LinkRead> {
  const link = parseLink(text, purpose, deps.secrets)
  if (link === undefined) {
    await insistThatNoOtherHas(deps, secretNameOf(text))
    return { kind: 'broken' }
  }
  if (deps.now() >= link.expiresAt) return { kind: 'expired' }
  return (await deps.storage.isConsumed(linkUse(link))) ? { kind: 'used' } : { kind: 'good', link }
}

/**
 * The user whom a link is for.
 *
 * @returns undefined where it allows nothing any more: the user is gone or disabled, or has had another password, other factors or another
 *          address since
 */
export async function userOfLink(
  { storage }: Pick<MailProofDeps, 'storage'>,
  link: MailLink,
): Promise<User | undefined> {
  const user = link.userId === undefined ? undefined : await storage.findUser(link.userId)
  return user !== undefined && isLinkOf(link, user) ? user : undefined
}

/** Pure: also for who decides in a transaction. */
export function isLinkOf({ userId, credentialVersion, address }: MailLink, user: User): boolean {
  const isSent = address === undefined || (user.email !== undefined && emailKey(user.email) === emailKey(address))
  return user.id === userId && user.disabledAt === undefined && user.credentialVersion === credentialVersion && isSent
}

/**
 * Takes the code of a mail for its link. A challenge for nobody takes codes like all others, and none of them is right: there has been
 * no mail. So what counts wrong ones is the challenge, and nothing that only users have.
 *
 * @param given.clientId of the app that asks; undefined for a page
 * @returns what the link of the same mail says
 * @throws OAuthError `invalid_grant` for a wrong code; `invalid_session` for a challenge that is over, or is by this code
 */
export async function linkOfCode(
  deps: MailProofDeps,
  purpose: LinkPurpose,
  given: Readonly<{ challenge: string; code: string; clientId: string | undefined }>,
): Promise<MailLink & Readonly<{ purpose: LinkPurpose }>> {
  const { storage, secrets, now } = deps
  const challenge = parseChallenge(given.challenge, purpose, secrets)
  if (challenge === undefined) await insistThatNoOtherHas(deps, secretNameOf(given.challenge))
  if (challenge === undefined) refuseChallenge('not a challenge of this server')
  if (challenge.clientId !== given.clientId) refuseChallenge('of another client')
  if (now() >= challenge.expiresAt) refuseChallenge('expired')
  if (await storage.isConsumed(linkUse(challenge))) refuseChallenge('used up')
  // Who has given the right code may come with it again, as for another username: that guesses nothing any more.
  const right = `mail challenge ${challenge.id} right`
  const wasRight = await storage.isConsumed(right)
  // Before the code is looked at, so that of many at once no more are heard.
  const left = wasRight ? maxWrongCodes : await takeTry(storage, challenge)
  const user = await storage.findUser(challenge.userId)
  const address = challenge.address ?? user?.email
  const subject = {
    challengeId: challenge.id,
    purpose,
    userId: user?.id,
    credentialVersion: user?.credentialVersion,
    address: address ?? '',
  }
  const isRight = isMailCode(given.code, subject, secrets) && address !== undefined && user?.disabledAt === undefined
  if (!isRight && left === 0) refuseChallenge('too many wrong codes')
  if (!isRight) throw new OAuthError('invalid_grant', 'the code is wrong')
  const { id, about, expiresAt } = challenge
  if (!wasRight) await storage.consumeOnce(right, expiresAt)
  return { id, purpose, userId: user?.id, credentialVersion: user?.credentialVersion, address, about, expiresAt }
}

async function takeTry(
  storage: OnceStorage,
  { id, expiresAt }: Readonly<{ id: string; expiresAt: number }>,
): Promise<number> {
  for (let n = 1; n <= maxWrongCodes; n++)
    if (await storage.consumeOnce(`mail challenge ${id} ${n}`, expiresAt)) return maxWrongCodes - n
  return refuseChallenge('too many wrong codes')
}

function refuseChallenge(cause: string): never {
  throw new OAuthError('invalid_session', 'the auth_session is expired, used or not valid; start again', { cause })
}
