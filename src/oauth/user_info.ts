/** The claims about a user, by scope: OpenID Connect Core §5.3 and §5.4. */

import type { User } from '../users/user.ts'
import { hasScope } from './scope.ts'

/** The claims that a scope gives. */
export const userInfoClaims = {
  profile: ['name', 'preferred_username'],
  email: ['email'],
} as const

/** @returns `sub`, and the claims of the scope that are known; one that is not is left out (§5.3.2) */
export function userInfo(user: User, scope: string): Record<string, string> {
  const known = { name: user.fullName, preferred_username: user.username, email: user.email }
  const names = Object.entries(userInfoClaims).flatMap(([token, claims]) => (hasScope(scope, token) ? claims : []))
  const claims: Record<string, string> = { sub: user.id }
  for (const name of names) {
    const value = known[name]
    if (value !== undefined) claims[name] = value
  }
  return claims
}
