/** How a session begins, whatever the way in was: the only place that makes one. */
import { auditEvent, type Caller } from '../audit/audit.ts'
import { isRefusal, type Refusals } from '../audit/refusals.ts'
import { maxDevice, readLabel } from '../text.ts'
import type { Authentication } from '../users/sign_in.ts'
import { refuseSignIn } from '../users/user.ts'
import { createSession, type Lifetimes, type Session } from './session.ts'
import type { SessionStorage } from './storage.ts'

export type BeginDeps = Readonly<{
  config: Readonly<{ sessionLimit: number }>
  storage: SessionStorage
  refusals: Refusals
  randomBytes: (size: number) => Buffer
}>

/** What the session is to be. @see Session */
export type NewSession = Readonly<{
  clientId: string
  scope: string
  audience: readonly string[]
  /** What the app calls the device it runs on, as it came. */
  device?: string | undefined
  lifetimes: Lifetimes
}>

/**
 * Begins a session for who has been authenticated.
 *
 * @throws OAuthError `invalid_grant` when the user has been disabled, removed or given another password meanwhile
 */
export async function beginSession(
  deps: BeginDeps,
  { user, amr, at, passwordHash }: Authentication,
  { clientId, scope, audience, device, lifetimes }: NewSession,
  caller: Caller,
): Promise<Session> {
  const session = createSession(
    {
      id: deps.randomBytes(16).toString('base64url'),
      userId: user.id,
      clientId,
      scope,
      audience,
      amr,
      device: readLabel(device, maxDevice),
      ip: caller.ip,
      userAgent: caller.userAgent,
    },
    at,
    lifetimes,
  )
  const about = { userId: user.id, clientId }
  const event = auditEvent('session.created', at, caller, { ...about, sessionId: session.id })
  const credentials = { version: user.credentialVersion, passwordHash }
  try {
    if (!(await deps.storage.createSession(session, credentials, event, deps.config.sessionLimit)))
      refuseSignIn('the credentials changed during the sign-in')
  } catch (error) {
    if (isRefusal(error)) deps.refusals.add('sign_in.refused', error, caller, about)
    throw error
  }
  return session
}
