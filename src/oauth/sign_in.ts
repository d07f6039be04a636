/** A sign-in: a username and a password become a session. What the password grant and the sign-in page share. */
import { auditEvent, type Caller } from './audit.ts'
import type { Deps } from './deps.ts'
import { OAuthError } from './error.ts'
import { cutFarTooLong, isFarTooLong } from './normal_form.ts'
import { longestPassword } from './password_rules.ts'
import { isRefusal } from './refusals.ts'
import { createSession, type Lifetimes, type Session } from './session.ts'
import { longestDevice, longestUsername, readLabel } from './text.ts'
import { refuseSignIn, type User } from './user.ts'

export type SignIn = Readonly<{
  username: string
  password: string
  clientId: string
  scope: string
  audience: readonly string[]
  device?: string | undefined
  lifetimes: Lifetimes
}>

/** @throws OAuthError `invalid_grant`, `too_many_attempts`, or `temporarily_unavailable` when too many sign-ins wait */
export async function signIn(deps: Deps, typed: SignIn, caller: Caller): Promise<Session> {
  // Nobody has a name or a password of such a length: a wrong one like any other, and no dearer.
  const request = {
    ...typed,
    username: cutFarTooLong(typed.username, longestUsername),
    password: cutFarTooLong(typed.password, longestPassword),
  }
  try {
    return await openSession(deps, request, caller)
  } catch (error) {
    if (isRefusal(error)) {
      // A user who exists, and never what was typed in the place of a name.
      const user = await deps.storage.findUserByUsername(request.username)
      deps.refusals.add('sign_in.refused', error, caller, { userId: user?.id, clientId: request.clientId })
    }
    if (error instanceof OAuthError) await error.heldUntil
    throw error
  }
}

async function openSession(deps: Deps, request: SignIn, caller: Caller): Promise<Session> {
  const { username, password, clientId, scope, audience, device, lifetimes } = request
  deps.passwords.insistOnRoom()
  const attempt = { username, password, patience: deps.passwords.patience() }
  const user = await deps.throttle.signIn(attempt, caller, isLate =>
    verifyCredentials(deps, username, password, isLate),
  )

  const session = createSession(
    {
      id: deps.randomBytes(16).toString('base64url'),
      userId: user.id,
      clientId,
      scope,
      audience,
      amr: ['pwd'],
      device: readLabel(device, longestDevice),
      ip: caller.ip,
      userAgent: caller.userAgent,
    },
    deps.now(),
    lifetimes,
  )
  const credentials = { version: user.credentialVersion, passwordHash: await betterHash(deps, user, password) }
  const event = auditEvent('session.created', deps.now(), caller, { userId: user.id, clientId, sessionId: session.id })
  if (!(await deps.storage.createSession(session, credentials, event, deps.config.sessionLimit)))
    refuseSignIn('the credentials changed during the sign-in')
  return session
}

/** Computes one hash in every case, but where the answer is held back anyway: there only for who may be let in. */
async function verifyCredentials(
  { storage, passwords }: Deps,
  username: string,
  password: string,
  isLate: (() => boolean) | undefined,
): Promise<User> {
  const user = await storage.findUserByUsername(username)
  const isTooLong = isFarTooLong(password, longestPassword)
  const isRefused = isTooLong || user?.disabledAt !== undefined
  const matches =
    isLate === undefined
      ? await passwords.verify(password, user?.passwordHash, isRefused)
      : user?.passwordHash !== undefined && (await passwords.verifyAside(password, user.passwordHash, isLate))
  if (user === undefined) refuseSignIn('no such user')
  if (!matches || isTooLong) refuseSignIn('wrong password')
  if (user.disabledAt !== undefined) refuseSignIn('the user is disabled')
  return user
}

/** @returns a hash of the present kind and cost, when the stored one is of another and knows all of the password */
async function betterHash({ passwords }: Deps, { passwordHash }: User, password: string): Promise<string | undefined> {
  if (passwordHash === undefined || !passwords.needsRehash(passwordHash)) return undefined
  if (!passwords.isExact(passwordHash, password)) return undefined
  try {
    return await passwords.hash(password)
  } catch (error) {
    // A full queue must not turn a good password away: the next sign-in upgrades.
    if (error instanceof OAuthError) return undefined
    throw error
  }
}
