/** The claims about a user: by scope (OpenID Connect Core §5.3 and §5.4), and those of access tokens (RFC 9068 §2.2.2 and §2.2.3.1). */

import type { Client } from '../clients/client.ts'
import type { User } from '../users/user.ts'
import { hasScope } from './scope.ts'

/** The claims that a scope gives. */
export const userInfoClaims = {
  profile: ['name', 'preferred_username'],
  email: ['email'],
} as const

/** @returns `sub`, and the claims of the scope that are known; one that is not is left out (§5.3.2) */
export function userInfo(user: User, scope: string): Record<string, string> {
  const known = textsOf(user)
  const names = Object.entries(userInfoClaims).flatMap(([token, claims]) => (hasScope(scope, token) ? claims : []))
  const claims: Record<string, string> = { sub: user.id }
  for (const name of names) {
    const value = known[name]
    if (value !== undefined) claims[name] = value
  }
  return claims
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
