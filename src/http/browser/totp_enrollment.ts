/** An authenticator app that is being set up, as the pages show it. */
import type { AddTotpView } from '../../pages/add_factor.ts'
import {
  beginTotpEnrollment,
  type Enroller,
  resumeTotpEnrollment,
  type TotpEnrollment,
} from '../../sessions/enrollment.ts'
import type { FactorRefusal } from '../../sessions/factor_change.ts'
import type { OwnFactorDeps } from '../../sessions/own_factors.ts'
import type { User } from '../../users/user.ts'
import { qrCodeOf } from './qr.ts'

/** The one that goes on, if it can; another one else. */
export async function totpToShow(
  deps: OwnFactorDeps,
  enroller: Enroller,
  enrollment: string | undefined,
): Promise<TotpEnrollment | FactorRefusal> {
  const resumed = enrollment === undefined ? undefined : resumeTotpEnrollment(deps, enroller, enrollment)
  return resumed ?? (await beginTotpEnrollment(deps, enroller, undefined))
}

export async function totpView(
  { username }: User,
  { enrollment, secret, otpauthUri }: TotpEnrollment,
): Promise<Pick<AddTotpView, 'username' | 'enrollment' | 'secret' | 'uri' | 'qr'>> {
  return { username, enrollment, secret, uri: otpauthUri, qr: await qrCodeOf(otpauthUri) }
}

/** What the page says of what was sent. */
export type EnrollmentState = Pick<AddTotpView, 'problem' | 'drift' | 'isAnother'>

/** How it tells of a wrong code. @param ahead seconds by which the clock of a phone is wrong, as far as that can be told */
export function codeProblemOf({ ahead }: Readonly<{ ahead?: number | undefined }>): EnrollmentState {
  return ahead === undefined ? { problem: 'wrong' } : { problem: 'clock', drift: ahead }
}
