/** The password grant: a sign-in. RFC 6749 §4.3. For first-party clients only, each given the grant by name. */
import type { Caller } from '../../audit/audit.ts'
import type { Client, TokenParams } from '../../clients/client.ts'
import { type BeginDeps, beginSession } from '../../sessions/begin.ts'
import { givenProof } from '../../users/factors/prove.ts'
import { type SignInDeps, signInByPassword } from '../../users/sign_in.ts'
import { grantRequest, sessionLifetimes } from '../authorization_request.ts'
import { beginWithProof, type NextProofDeps } from '../next_proof.ts'
import { passwordParams, readParams } from '../request_params.ts'
import { readRequirements } from '../step_up.ts'
import type { Granted } from './grant.ts'

/** @throws OAuthError `insufficient_authorization`, after the right password, when one more proof is owed */
export async function passwordGrant(
  deps: SignInDeps & BeginDeps & NextProofDeps,
  client: Client,
  { params, resources }: TokenParams,
  caller: Caller,
): Promise<Granted> {
  const { username, password, device, scope, ...proofs } = readParams(passwordParams, params)
  const given = givenProof(proofs)
  // Nothing is fresher than a sign-in.
  const { acrValues } = readRequirements(proofs) ?? {}
  const request = { scope, resources, device, acrValues }
  const wanted = grantRequest(deps.config, client, request)
  // Whatever else came along, nothing of it is looked at before the password is right.
  const first = await signInByPassword(deps, { username, password, clientId: client.id }, caller)
  const session = await beginWithProof(deps, { client, request, first, given }, caller, authentication =>
    beginSession(deps, authentication, { ...wanted, lifetimes: sessionLifetimes(deps.config, client) }, caller),
  )
  return { session, scope: wanted.scope, audience: wanted.tokenAudience }
}
