/** A sign-in by a passkey alone: it says whose it is. Like `sign_in.ts` it makes no session. */
import type { Caller } from '../audit/audit.ts'
import { isRefusal, type Refusals } from '../audit/refusals.ts'
import type { Observer } from '../observer.ts'
import { type PasskeyQuestion, verifyAssertion } from './factors/passkey.ts'
import { readPasskeyAnswer } from './factors/passkey_answer.ts'
import { refuseProof } from './factors/refuse_proof.ts'
import type { FactorStorage } from './factors/storage.ts'
import type { Authentication } from './sign_in.ts'
import type { UserStorage } from './storage.ts'

export type PasskeySignInDeps = Readonly<{
  storage: Pick<UserStorage, 'findUser'> & Pick<FactorStorage, 'findFactorByHandle'>
  refusals: Refusals
  observer: Observer
  now: () => number
}>

/**
 * Nothing is throttled: a signature is nothing to guess, and a wrong one costs less than a wrong password.
 *
 * @param given.answer as it came
 * @throws OAuthError `invalid_grant`
 */
export async function signInByPasskey(
  { storage, refusals, observer, now }: PasskeySignInDeps,
  { answer, asked, clientId }: Readonly<{ answer: string; asked: PasskeyQuestion; clientId: string }>,
  caller: Caller,
): Promise<Authentication> {
  let userId: string | undefined
  try {
    const read = readPasskeyAnswer(answer)
    const factor = await storage.findFactorByHandle(read.id)
    userId = factor?.userId
    const at = now()
    const { use, amr } = await verifyAssertion(asked, read, { factor, userId: undefined, now: at })
    // After the factor: where it is removed meanwhile, what is used here cannot be spent any more.
    const user = await storage.findUser(factor!.userId)
    if (user === undefined || user.disabledAt !== undefined) refuseProof('the user is disabled or gone')
    return { user, amr, at, uses: [use] }
  } catch (error) {
    if (isRefusal(error)) {
      observer.signedIn('refused')
      refusals.add('sign_in.refused', error, caller, { userId, clientId })
    }
    throw error
  }
}
