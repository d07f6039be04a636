/** The password grant: a sign-in. RFC 6749 §4.3. For first-party clients only, each given the grant by name. */
import { auditEvent, type Caller } from '../audit.ts'
import type { Client, TokenParams } from '../client.ts'
import type { Deps } from '../deps.ts'
import { OAuthError } from '../error.ts'
import { accessTokenLifetime, refreshPolicy } from '../lifetimes.ts'
import { grantAudience } from '../resource.ts'
import { grantScope } from '../scope.ts'
import { createSession, type Session } from '../session.ts'
import { refuseSignIn, type User } from '../user.ts'
import type { Granted } from './index.ts'

/** Characters; what is longer is cut, so that a session row stays small. */
const longestDevice = 64
const longestUserAgent = 160

export async function passwordGrant(
  deps: Deps,
  client: Client,
  { params, resources }: TokenParams,
  caller: Caller,
): Promise<Granted & { session: Session }> {
  const { username, password, device } = params
  if (username === undefined || password === undefined) {
    throw new OAuthError('invalid_request', `${username === undefined ? 'username' : 'password'} is missing`)
  }
  const scope = grantScope(params.scope, client.scope)
  const audience = grantAudience(resources, client.audience ?? deps.config.audience)
  const user = await verifyCredentials(deps, username, password)

  const session = createSession(
    {
      id: deps.randomBytes(16).toString('base64url'),
      userId: user.id,
      clientId: client.id,
      scope,
      audience,
      amr: ['pwd'],
      device: device?.slice(0, longestDevice).toWellFormed(),
      ip: caller.ip,
      userAgent: caller.userAgent?.slice(0, longestUserAgent),
    },
    deps.now(),
    sessionLifetimes(deps, client),
  )
  const credentials = { version: user.credentialVersion, passwordHash: await betterHash(deps, user, password) }
  const event = auditEvent('session.created', deps.now(), caller, {
    userId: user.id,
    clientId: client.id,
    sessionId: session.id,
  })
  if (!(await deps.storage.createSession(session, credentials, event)))
    refuseSignIn('the credentials changed during the sign-in')
  return { session, scope, audience }
}

/**
 * Verifies a username and password. Computes one hash in every case.
 *
 * @throws OAuthError `invalid_grant`, or `temporarily_unavailable` when too many sign-ins wait
 */
async function verifyCredentials({ storage, passwords }: Deps, username: string, password: string): Promise<User> {
  const user = await storage.findUserByUsername(username)
  const matches = await passwords.verify(password, user?.passwordHash)
  if (user === undefined) refuseSignIn('no such user')
  if (!matches) refuseSignIn('wrong password')
  if (user.disabledAt !== undefined) refuseSignIn('the user is disabled')
  return user
}

/** @returns a hash of the present kind and cost, when the stored one is of another */
async function betterHash({ passwords }: Deps, user: User, password: string): Promise<string | undefined> {
  if (!passwords.needsRehash(user.passwordHash)) return undefined
  try {
    return await passwords.hash(password)
  } catch (error) {
    // A full queue must not turn a good password away: the next sign-in upgrades.
    if (error instanceof OAuthError) return undefined
    throw error
  }
}

/** A session that nothing can refresh ends with its access token. */
function sessionLifetimes({ config }: Deps, client: Client) {
  if (client.grantTypes.includes('refresh_token')) return refreshPolicy(config, client)
  const lifetime = accessTokenLifetime(config, client)
  return { idleLifetime: lifetime, absoluteLifetime: lifetime }
}
