/** An app that signs its users in at `/authorize-challenge`, with PKCE. */
import { createHash } from 'node:crypto'
import type { Answer, TestServer } from '../_server.ts'
import { password } from '../_server.ts'

export const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
export const pkce = {
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
}
export const byPassword = { username: 'alice', password }

type Params = Readonly<Record<string, string>>

export function createApp({ post, token }: Pick<TestServer, 'post' | 'token'>) {
  const challenge = (params: Params, headers?: Record<string, string>): Promise<Answer> =>
    post('/authorize-challenge', { client_id: 'app', response_type: 'code', ...pkce, ...params }, headers)
  const exchange = (code: string, params: Params = {}, headers?: Record<string, string>): Promise<Answer> =>
    token({ grant_type: 'authorization_code', client_id: 'app', code, code_verifier: verifier, ...params }, headers)
  return {
    challenge,
    exchange,
    /** @returns a code for a user without a second factor */
    async code(params: Params = {}): Promise<string> {
      const { status, body } = await challenge({ ...byPassword, ...params })
      if (status !== 200) throw new Error(`no code: ${JSON.stringify(body)}`)
      return body.authorization_code
    },
  }
}
