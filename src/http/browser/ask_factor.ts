/** The page that asks for one more proof, for a sign-in and for who is signed in. */
import { OAuthError } from '../../error.ts'
import { type AuthSession, refuseAuthSession } from '../../oauth/auth_session.ts'
import type { Deps } from '../../oauth/deps.ts'
import { passkeyQuestion } from '../../oauth/next_proof.ts'
import { type AskFactorView, askFactorPage, type Proof } from '../../pages/ask_factor.ts'
import type { Frame } from '../../pages/layout.ts'
import { type Factor, type FactorParam, isSecondFactor, wireNames } from '../../users/factors/factor.ts'
import { isUsablePasskey, requestOptions } from '../../users/factors/passkey.ts'

/** What a page asks for, and what was wrong with what was sent. */
export type AskedPage = Pick<AskFactorView, 'problem' | 'retryAfter'> & Readonly<{ asked?: Proof | undefined }>

type Given = Omit<AskFactorView, 'asked' | 'passkeyOptions' | 'problem' | 'retryAfter'>

/** Asks for the kind that is wanted, if the user has it; for the first of the choices else. */
export function askPage(
  deps: Pick<Deps, 'config'>,
  given: Given,
  authSession: AuthSession,
  factors: readonly Factor[],
  { asked, ...state }: AskedPage,
  frame: Frame,
): string {
  const question = given.choices.includes('passkey') ? passkeyQuestion(deps, authSession) : undefined
  const passkeyOptions = question && JSON.stringify(requestOptions(question, factors))
  const first = given.choices.find(one => one === asked) ?? given.choices[0]!
  return askFactorPage({ ...given, ...state, asked: first, passkeyOptions }, frame)
}

/** In the order in which they are offered; none for who has no second factor. */
export function choicesOf({ config }: Pick<Deps, 'config'>, factors: readonly Factor[]): FactorParam[] {
  if (!factors.some(isSecondFactor)) return []
  const isUsable = (factor: Factor) => factor.kind !== 'passkey' || isUsablePasskey(config.relyingParty, factor)
  const usable = factors.filter(isUsable)
  return (['otp', 'passkey', 'recovery_code'] as const).filter(param =>
    usable.some(({ kind }) => wireNames[kind] === param),
  )
}

/** The last wrong proof that there is room for ends the auth session at once. */
export function refuseTheLast(error: unknown, left: number): never {
  if (left > 0 || !(error instanceof OAuthError) || error.code !== 'invalid_grant') throw error
  return refuseAuthSession('too many wrong proofs')
}
