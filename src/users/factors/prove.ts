/** One more proof of who somebody is: what was sent is verified with the factors of the user, whoever asks for it. */
import type { Caller } from '../../audit/audit.ts'
import { isRefusal, type Refusals } from '../../audit/refusals.ts'
import { OAuthError } from '../../error.ts'
import type { MasterSecrets } from '../../keys/master_secret.ts'
import type { Observer } from '../../observer.ts'
import type { Throttle } from '../../throttle/throttle.ts'
import { type Factor, type FactorKind, type FactorParam, type FactorUse, wireNames } from './factor.ts'
import { type PasskeyQuestion, verifyAssertion } from './passkey.ts'
import { readPasskeyAnswer } from './passkey_answer.ts'
import { verifyRecoveryCode } from './recovery_codes.ts'
import { refuseProof } from './refuse_proof.ts'
import { verifyTotp } from './totp.ts'

export type ProveDeps = Readonly<{
  secrets: MasterSecrets
  throttle: Pick<Throttle, 'factor'>
  refusals: Refusals
  observer: Observer
  now: () => number
}>

/** What was sent, by the name of its parameter. */
export type GivenProof = Readonly<{ param: FactorParam; value: string }>

/** What it proves. */
export type FactorProof = Readonly<{
  /** Used up by what it lets in: `createSession` or `spendAll`. */
  use: FactorUse
  /** What it adds to what was proved before, RFC 8176. */
  amr: readonly string[]
}>

/** Whose proof it is, and with whom, for the audit trail. */
export type Prover = Readonly<{
  userId: string
  factors: readonly Factor[]
  /** What a passkey was asked for with; absent where none was. */
  asked?: PasskeyQuestion | undefined
  clientId?: string | undefined
  sessionId?: string | undefined
}>

/**
 * The proof among the parameters of a request.
 *
 * @throws OAuthError `invalid_request` when there are several
 */
export function givenProof(params: Readonly<Partial<Record<FactorParam, string | undefined>>>): GivenProof | undefined {
  const given = Object.values(wireNames).flatMap(param => {
    const value = params[param]
    return value === undefined ? [] : [{ param, value }]
  })
  if (given.length > 1)
    throw new OAuthError('invalid_request', `only one of ${given.map(({ param }) => param).join(' and ')} can be used`)
  return given[0]
}

/**
 * Verifies a proof. Only for whom the first proof has been right: whoever tries codes here can make the user wait.
 *
 * @throws OAuthError `invalid_grant` in the same words for all that is wrong with it, `too_many_attempts`
 */
export async function proveFactor(
  deps: ProveDeps,
  { factors, asked, ...about }: Prover,
  { param, value }: GivenProof,
  caller: Caller,
): Promise<FactorProof> {
  const kind = kindOf(param)
  const ofKind = factors.filter(factor => factor.kind === kind)
  const check = async () => {
    if (ofKind.length === 0) refuseProof(`no factor that takes ${param}`)
    if (kind === 'passkey') return provePasskey(deps, ofKind, asked, about.userId, value)
    for (const factor of ofKind) {
      const proof = verify(deps, factor, value)
      if (proof !== undefined) return proof
    }
    return refuseProof(`wrong or used ${param}`)
  }
  try {
    // A signature is nothing to guess: who sends wrong ones must not make the owner wait.
    if (kind === 'passkey') return await check()
    return await deps.throttle.factor({ userId: about.userId, kind }, caller, check)
  } catch (error) {
    if (isRefusal(error)) {
      deps.observer.signedIn(error.code === 'too_many_attempts' ? 'throttled' : 'factor_refused')
      deps.refusals.add('factor.refused', error, caller, about)
    }
    throw error
  }
}

function kindOf(param: FactorParam): FactorKind {
  return Object.entries(wireNames).find(([, name]) => name === param)![0] as FactorKind
}

function verify({ secrets, now }: ProveDeps, factor: Factor, value: string): FactorProof | undefined {
  switch (factor.kind) {
    case 'totp': {
      const use = verifyTotp(factor, value, secrets, now())
      return use && { use, amr: ['otp', 'mfa'] }
    }
    case 'recovery_codes': {
      const use = verifyRecoveryCode(factor, value, secrets, now())
      return use && { use, amr: ['mfa'] }
    }
    case 'passkey':
      return undefined
  }
}

async function provePasskey(
  { now }: ProveDeps,
  passkeys: readonly Factor[],
  asked: PasskeyQuestion | undefined,
  userId: string,
  value: string,
): Promise<FactorProof> {
  if (asked === undefined) refuseProof('no passkey was asked for')
  const answer = readPasskeyAnswer(value)
  const factor = passkeys.find(({ handle }) => handle === answer.id)
  return verifyAssertion(asked, answer, { factor, userId, now: now() })
}
