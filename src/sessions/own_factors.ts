/** A signed-in user names and removes factors, and gets other recovery codes. How a factor comes is in `enrollment.ts`. */
import { type AuditEvent, auditEvent, type Caller } from '../audit/audit.ts'
import type { MasterSecrets } from '../keys/master_secret.ts'
import type { KeyStorage } from '../keys/storage.ts'
import { readLabel } from '../text.ts'
import { createFactorId, type Factor } from '../users/factors/factor.ts'
import { createRecoveryCodes, digestRecoveryCodes } from '../users/factors/recovery_codes.ts'
import type { RelyingParty } from '../users/factors/relying_party.ts'
import type { FactorStorage } from '../users/factors/storage.ts'
import type { User } from '../users/user.ts'
import {
  type FactorRefusal,
  type FactorsChanged,
  factorRemoval,
  factorRenaming,
  recoveryCodeReplacement,
} from './factor_change.ts'
import type { Session } from './session.ts'
import type { SessionStorage } from './storage.ts'

/** UTF-16 code units of what a user calls a factor; what is longer is cut. */
export const maxFactorName = 64

export type OwnFactorDeps = Readonly<{
  config: Readonly<{ issuer: string; relyingParty: RelyingParty | undefined }>
  storage: SessionStorage & FactorStorage & Pick<KeyStorage, 'listMasterSecretUses'>
  secrets: MasterSecrets
  now: () => number
  randomBytes: (size: number) => Buffer
}>

export type SignedInUser = Readonly<{ user: User; session: Session }>

/** Makes recovery codes in the place of those that there are. @returns them, as they are seen this once */
export async function replaceRecoveryCodes(
  deps: OwnFactorDeps,
  signedIn: SignedInUser,
  caller: Caller,
): Promise<Readonly<{ kind: 'done'; recoveryCodes: readonly string[] }> | FactorRefusal> {
  const now = deps.now()
  const { user, session } = signedIn
  const recoveryCodes = createRecoveryCodes(deps.randomBytes)
  const factor = recoveryFactor(deps, user, recoveryCodes, now)
  const decide = recoveryCodeReplacement(factor, factorEvent('factor.updated', now, caller, signedIn))
  const outcome = await deps.storage.changeUser(user.id, decide, session.id)
  return outcome.kind === 'done' ? { kind: 'done', recoveryCodes } : outcome
}

/** @param name as it was typed; undefined, or nothing to be seen, for none */
export function renameFactor(
  deps: OwnFactorDeps,
  signedIn: SignedInUser,
  { id, name }: Readonly<{ id: string; name: string | undefined }>,
  caller: Caller,
): Promise<(FactorsChanged & Readonly<{ factor: Factor }>) | FactorRefusal> {
  const event = factorEvent('factor.updated', deps.now(), caller, signedIn)
  const decide = factorRenaming(id, readLabel(name, maxFactorName), event)
  return deps.storage.changeUser(signedIn.user.id, decide, signedIn.session.id)
}

/** Removes a factor; the last one takes the recovery codes along. */
export function removeFactor(
  deps: OwnFactorDeps,
  signedIn: SignedInUser,
  id: string,
  caller: Caller,
): Promise<FactorsChanged | FactorRefusal> {
  const event = factorEvent('factor.removed', deps.now(), caller, signedIn)
  return deps.storage.changeUser(signedIn.user.id, factorRemoval(id, event), signedIn.session.id)
}

export function recoveryFactor(
  { secrets, randomBytes }: Pick<OwnFactorDeps, 'secrets' | 'randomBytes'>,
  { id: userId }: User,
  codes: readonly string[],
  now: number,
): Factor {
  const data = digestRecoveryCodes(codes, secrets)
  return { id: createFactorId(randomBytes), userId, kind: 'recovery_codes', createdAt: now, data, counter: 0 }
}

export function factorEvent(
  type: 'factor.added' | 'factor.updated' | 'factor.removed',
  now: number,
  caller: Caller,
  { user, session }: Readonly<{ user: User; session?: Session | undefined }>,
): AuditEvent {
  return auditEvent(type, now, caller, { userId: user.id, sessionId: session?.id, clientId: session?.clientId })
}
