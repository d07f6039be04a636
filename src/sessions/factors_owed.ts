/** A sign-in that owes one more proof: who it is has been proved as far as it goes, and no session has begun. */
import { OAuthError } from '../error.ts'
import { wireNames } from '../users/factors/factor.ts'
import type { OwedFactors } from '../users/factors/owed.ts'
import type { Authentication } from '../users/sign_in.ts'

/** Raised by `begin.ts`. Every way in answers it in its own way; one that does not know of it lets nobody in. */
export class FactorsOwed extends OAuthError {
  override name = 'FactorsOwed'
  readonly authentication: Authentication
  readonly owed: OwedFactors

  constructor(authentication: Authentication, owed: OwedFactors) {
    super('insufficient_authorization', owedText(owed), { members: owedMembers(owed) })
    this.authentication = authentication
    this.owed = owed
  }
}

/** What the answer says of what is owed: the parameters of which one is to come, by their names. */
export function owedMembers({ kinds, mustEnroll }: OwedFactors): Readonly<Record<string, unknown>> {
  return { factors: kinds.map(kind => wireNames[kind]), ...(mustEnroll && { enrollment_required: true }) }
}

function owedText({ mustEnroll }: OwedFactors): string {
  return mustEnroll ? 'a second factor has to be set up first' : 'one more proof of who this is is needed'
}
