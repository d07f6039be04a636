/** A test server with its listener of operators, and programs of theirs that have scopes. */
import { type AdminScope, adminScopes } from '../../../src/clients/admin_client.ts'
import { type ServerOptions, startServerWithAlice, type TestContext } from '../../_server.ts'

export const everything = adminScopes.filter(scope => !scope.endsWith(':read'))

/** Beside `app` and `alice`: the client `ops`, which may do everything. */
export async function startAdminServer(t: TestContext, options?: ServerOptions) {
  const server = await startServerWithAlice(t, options)
  const admin = await server.startAdmin()

  async function addProgram(id: string, scopes: readonly AdminScope[]): Promise<void> {
    await server.addClient({
      id,
      secret: `lks_${id}_secret`,
      grantTypes: ['client_credentials'],
      scope: scopes.join(' '),
    })
  }
  async function tokenOf(id: string, params: Record<string, string> = {}): Promise<string> {
    const credentials = { client_id: id, client_secret: `lks_${id}_secret` }
    const answer = await server.token({ grant_type: 'client_credentials', ...credentials, ...params })
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body))
    return answer.body.access_token
  }
  await addProgram('ops', everything)
  let token = await tokenOf('ops')

  return {
    ...server,
    admin,
    addProgram,
    tokenOf,
    /** A new token of `ops`, after the clock has moved. */
    async renew() {
      token = await tokenOf('ops')
    },
    /** @param as an access token, that of `ops` unless told otherwise */
    ask: (method: string, path: string, body?: unknown, headers: Record<string, string> = {}, as = token) =>
      admin.request(path, {
        method,
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        headers: {
          ...server.bearer(as),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
      }),
  }
}
