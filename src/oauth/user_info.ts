/** The claims about a user: by scope (OpenID Connect Core §5.3 and §5.4), and those of access tokens (RFC 9068 §2.2.2 and §2.2.3.1). */

import type { Client } from '../clients/client.ts'
import type { User } from '../users/user.ts'
import { hasScope } from './scope.ts'

/** The claims that a scope gives. */
export const userInfoClaims = {
  profile: ['name', 'preferred_username', 'locale'],
  email: ['email', 'email_verified'],
} as const

type EmailClaims = Readonly<{ email?: string; email_verified?: boolean }>
type UserInfo = EmailClaims & Readonly<{ sub: string; name?: string; preferred_username?: string; locale?: string }>

/** @returns `sub`, and the claims of the scope that are known; one that is not is left out (§5.3.2) */
export function userInfo(user: User, scope: string): UserInfo {
  const { id: sub, fullName: name, username, language: locale } = user
  const profile = hasScope(scope, 'profile') && {
    ...(name !== undefined && { name }),
    preferred_username: username,
    ...(locale !== undefined && { locale }),
  }
  return { sub, ...profile, ...emailClaims(user, scope) }
}

/** The address, and whether its user has proved it. Id tokens have them too: clients rely on them when somebody signs in. */
export function emailClaims({ email, emailVerifiedAt }: User, scope: string): EmailClaims {
  if (email === undefined || !hasScope(scope, 'email')) return {}
  return { email, email_verified: emailVerifiedAt !== undefined }
}

/** None by default: whoever holds an access token can read it. */
export type UserClaims = Readonly<{
  roles?: readonly string[]
  preferred_username?: string
  email?: string
  name?: string
}>

/** What access tokens of a client say of a user; what is not known is left out, but who has no roles has an empty list of them. */
export function userClaims(user: User, { accessTokenClaims }: Pick<Client, 'accessTokenClaims'>): UserClaims {
  const known = { roles: user.roles ?? [], ...textsOf(user) }
  return Object.fromEntries(accessTokenClaims.flatMap(name => (known[name] === undefined ? [] : [[name, known[name]]])))
}

function textsOf({ fullName, username, email }: User) {
  return { name: fullName, preferred_username: username, email }
}
