/** The refusal of a proof that is wrong, whatever kind of factor it is of. */
import { OAuthError } from '../../error.ts'

/**
 * Also for a proof that was right and has been used up at this moment.
 *
 * @param cause for the log and the audit trail
 * @throws OAuthError `invalid_grant`
 */
export function refuseProof(cause: string): never {
  throw new OAuthError('invalid_grant', 'the code or passkey is wrong, or has been used', { cause })
}
