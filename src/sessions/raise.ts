/**
 * A user proves more, or anew, within a session that goes on: a step-up (RFC 9470). It is the same row, so no second device shows.
 */
import { type AuditEvent, auditEvent, type Caller } from '../audit/audit.ts'
import { isRefusal, type Refusals } from '../audit/refusals.ts'
import type { Client } from '../clients/client.ts'
import { type Factor, spendAll } from '../users/factors/factor.ts'
import { refuseProof } from '../users/factors/refuse_proof.ts'
import type { Authentication } from '../users/sign_in.ts'
import type { User } from '../users/user.ts'
import { raisedAmr } from './assurance.ts'
import { isLive, type Lifetimes, mayOpenSession, type Session } from './session.ts'
import type { SessionStorage } from './storage.ts'
import type { UserChange } from './user_change.ts'

/** `ended` also when the user has other credentials by now. */
export type Raised =
  | Readonly<{ kind: 'raised'; session: Session }>
  | Readonly<{ kind: 'ended' }>
  | Readonly<{ kind: 'used' }>

/** Of which session it is, through which client, and how long that may live. */
export type RaisedSession = Readonly<{ sessionId: string; client: Client; lifetimes: Lifetimes }>

/**
 * Raises a session by what has just been proved, and uses that up.
 *
 * @returns the session as it is from now on; undefined when it has ended, or its user has been disabled or given other credentials
 * @throws OAuthError `invalid_grant` when what counts once has been used at this moment
 */
export async function raiseSession(
  { storage, refusals }: Readonly<{ storage: SessionStorage; refusals: Refusals }>,
  authentication: Authentication,
  { sessionId, client, lifetimes }: RaisedSession,
  caller: Caller,
): Promise<Session | undefined> {
  const { user, at, amr } = authentication
  const about = { userId: user.id, clientId: client.id, sessionId }
  const event = auditEvent('session.raised', at, caller, { ...about, detail: `by ${amr.join(' ')}` })
  const decide = raise(authentication, client, lifetimes, event)
  const raised = await storage.changeUser(user.id, decide, sessionId)
  switch (raised.kind) {
    case 'raised':
      return raised.session
    case 'ended':
      return undefined
    case 'used':
      try {
        return refuseProof('used at this moment')
      } catch (error) {
        if (isRefusal(error)) refusals.add('factor.refused', error, caller, about)
        throw error
      }
  }
}

/** Pure: runs in the transaction that uses up what was proved. */
export function raise(
  { user: known, amr, at, uses = [], passwordHash }: Authentication,
  client: Client,
  lifetimes: Lifetimes,
  event: AuditEvent,
) {
  return (user: User | undefined, before: Session | undefined, factors: readonly Factor[]): UserChange<Raised> => {
    const isTheirs = before?.userId === known.id && before.clientId === client.id
    if (!mayOpenSession(user, client, known.credentialVersion) || !isTheirs || !isLive(before, at, lifetimes))
      return { outcome: { kind: 'ended' } }
    const spent = spendAll(factors, uses)
    if (spent === undefined) return { outcome: { kind: 'used' } }
    const session = { ...before, authTime: at, amr: raisedAmr(before.amr, amr) }
    return {
      outcome: { kind: 'raised', session },
      session,
      factors: { put: spent },
      ...(passwordHash !== undefined && { user: { ...user!, passwordHash } }),
      event,
    }
  }
}
