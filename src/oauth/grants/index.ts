/** The grants by their `grant_type`. A new one is one file and one line here. */
import { authorizationCodeGrant } from './authorization_code.ts'
import { clientCredentialsGrant } from './client_credentials.ts'
import type { Grant } from './grant.ts'
import { passwordGrant } from './password.ts'
import { refreshTokenGrant } from './refresh_token.ts'

export const grants: Readonly<Record<string, Grant>> = {
  password: passwordGrant,
  authorization_code: authorizationCodeGrant,
  refresh_token: refreshTokenGrant,
  client_credentials: clientCredentialsGrant,
}
