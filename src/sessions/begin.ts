/**
 * How a session begins, whatever the way in was: the only place that makes one, and that asks whether a second factor is owed.
 */
import { auditEvent, type Caller } from '../audit/audit.ts'
import { isRefusal, type Refusals } from '../audit/refusals.ts'
import type { Client } from '../clients/client.ts'
import type { Observer } from '../observer.ts'
import { maxDevice, readLabel } from '../text.ts'
import type { Factor } from '../users/factors/factor.ts'
import { type FactorPolicy, type OwedFactors, owedFactors } from '../users/factors/owed.ts'
import { refuseProof } from '../users/factors/refuse_proof.ts'
import type { FactorStorage } from '../users/factors/storage.ts'
import type { Authentication } from '../users/sign_in.ts'
import { refuseSignIn } from '../users/user.ts'
import { type Acr, isOfClass, kindsReaching, refuseUnmet } from './assurance.ts'
import { FactorsOwed } from './factors_owed.ts'
import { createPendingSession, createSession, type Lifetimes, type Session } from './session.ts'
import type { SessionStorage } from './storage.ts'

export type BeginDeps = Readonly<{
  config: Readonly<{ sessionLimit: number; requireFactor: FactorPolicy }>
  storage: SessionStorage & FactorStorage
  refusals: Refusals
  observer: Observer
  randomBytes: (size: number) => Buffer
}>

/** What the session is to be. @see Session */
export type NewSession = Readonly<{
  client: Client
  scope: string
  audience: readonly string[]
  /** What the app calls the device it runs on, as it came. */
  device?: string | undefined
  /** `pending`: it begins when its authorization code is exchanged. */
  lifetimes: Lifetimes | 'pending'
  /** Classes of which one has to be reached; absent where each will do. */
  acrValues?: readonly Acr[] | undefined
}>

/**
 * Begins a session for who has been authenticated.
 *
 * @throws FactorsOwed when the user, the client, the server or the request asks for more than has been proved
 * @throws OAuthError `invalid_grant` when the user has been disabled, removed or given other credentials meanwhile, or when a code that
 *         counts once has been used; `unmet_authentication_requirements` when the user has nothing that would do for the request
 */
export async function beginSession(
  deps: BeginDeps,
  authentication: Authentication,
  { client, scope, audience, device, lifetimes, acrValues }: NewSession,
  caller: Caller,
): Promise<Session> {
  const { user, amr, at, uses, passwordHash } = authentication
  const isReached = acrValues === undefined || isOfClass(amr, acrValues)
  const factors = isReached && amr.includes('mfa') ? [] : await deps.storage.listFactors(user.id)
  const owed = owedFactors(deps.config.requireFactor, client.requireFactor === true, factors, amr)
  const asked = isReached || owed?.mustEnroll ? owed : owedForClass(acrValues, factors)
  if (asked !== undefined) {
    deps.observer.signedIn('factor_owed')
    throw new FactorsOwed(authentication, asked)
  }
  const clientId = client.id
  const signIn = {
    id: deps.randomBytes(16).toString('base64url'),
    userId: user.id,
    clientId,
    scope,
    audience,
    amr,
    device: readLabel(device, maxDevice),
    ip: caller.ip,
    userAgent: caller.userAgent,
  }
  const isPending = lifetimes === 'pending'
  const session = isPending ? createPendingSession(signIn, at) : createSession(signIn, at, lifetimes)
  const about = { userId: user.id, clientId }
  const aboutIt = { ...about, sessionId: session.id }
  const event = isPending
    ? auditEvent('code.issued', at, caller, aboutIt)
    : auditEvent('session.created', at, caller, aboutIt)
  // Whoever gets another factor at this moment raises the version: this sign-in starts over.
  const credentials = { version: user.credentialVersion, passwordHash, uses }
  try {
    if (!(await deps.storage.createSession(session, credentials, event, deps.config.sessionLimit))) refuseLate(uses)
  } catch (error) {
    if (isRefusal(error)) {
      deps.observer.signedIn(uses === undefined ? 'refused' : 'factor_refused')
      deps.refusals.add(uses === undefined ? 'sign_in.refused' : 'factor.refused', error, caller, about)
    } else deps.observer.signedIn('unavailable')
    throw error
  }
  deps.observer.signedIn('signed_in')
  return session
}

function owedForClass(acrValues: readonly Acr[], factors: readonly Factor[]): OwedFactors {
  const kinds = kindsReaching(acrValues, factors)
  return kinds.length > 0
    ? { kinds, mustEnroll: false }
    : refuseUnmet('the user has set up nothing that proves as much')
}

/** In the words of who was refused at once: which of two was first with a code is nobody's business. */
function refuseLate(uses: Authentication['uses']): never {
  if (uses === undefined) refuseSignIn('the credentials changed during the sign-in')
  refuseProof('the code was used or the credentials changed at this moment')
}
