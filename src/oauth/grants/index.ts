/** The grants by their `grant_type`. A new one is one file and one line here. */
import { clientCredentialsGrant } from './client_credentials.ts'
import type { Grant } from './grant.ts'
import { passwordGrant } from './password.ts'
import { refreshTokenGrant } from './refresh_token.ts'

export const grants: Readonly<Record<string, Grant>> = {
  password: passwordGrant,
  refresh_token: refreshTokenGrant,
  client_credentials: clientCredentialsGrant,
}
