/** `oidc-provider` with an adapter on SQLite: opaque tokens, rotation on, one row for each thing that it stores. */
import { generateKeyPairSync } from 'node:crypto'
import { Provider } from 'oidc-provider'
import { announce, clientId, openDatabase, sessions } from './_database.js'

process.env.NODE_ENV = 'production'
const database = openDatabase(`
  CREATE TABLE models (kind TEXT, id TEXT, payload TEXT, grant_id TEXT, expires_at INTEGER, PRIMARY KEY (kind, id)) WITHOUT ROWID;
  CREATE INDEX models_grant ON models (grant_id)`)
const upsert = database.prepare('INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?, ?)')
const find = database.prepare('SELECT payload, expires_at FROM models WHERE kind = ? AND id = ?')
const destroy = database.prepare('DELETE FROM models WHERE kind = ? AND id = ?')
const destroyGrant = database.prepare('DELETE FROM models WHERE grant_id = ?')
const consume = database.prepare(
  `UPDATE models SET payload = json_set(payload, '$.consumed', ?) WHERE kind = ? AND id = ?`,
)
const seconds = () => Math.floor(Date.now() / 1000)

class Adapter {
  constructor(kind) {
    this.kind = kind
  }
  async upsert(id, payload, expiresIn) {
    upsert.run(this.kind, id, JSON.stringify(payload), payload.grantId ?? null, seconds() + (expiresIn ?? 31_536_000))
  }
  async find(id) {
    const row = find.get(this.kind, id)
    return row === undefined || row.expires_at < seconds() ? undefined : JSON.parse(row.payload)
  }
  async findByUid() {}
  async findByUserCode() {}
  async destroy(id) {
    destroy.run(this.kind, id)
  }
  async revokeByGrantId(grantId) {
    destroyGrant.run(grantId)
  }
  async consume(id) {
    consume.run(seconds(), this.kind, id)
  }
}

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const provider = new Provider('http://127.0.0.1', {
  adapter: Adapter,
  clients: [
    {
      client_id: clientId,
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['http://127.0.0.1/'],
      response_types: ['code'],
      id_token_signed_response_alg: 'ES256',
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'key' }] },
  scopes: ['offline_access', 'read', 'write'],
  rotateRefreshToken: true,
  features: { devInteractions: { enabled: false } },
  ttl: { AccessToken: 900, RefreshToken: 2_592_000, Grant: 31_536_000, IdToken: 900 },
  findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
})

/** As after a sign-in: a grant and its first refresh token. The sign-in itself needs a browser. */
async function createRefreshToken(accountId) {
  const client = await provider.Client.find(clientId)
  const grant = new provider.Grant({ accountId, clientId })
  const scope = 'offline_access read write'
  grant.addOIDCScope(scope)
  const grantId = await grant.save()
  const token = new provider.RefreshToken({
    accountId,
    client,
    grantId,
    gty: 'authorization_code',
    scope,
    authTime: seconds(),
    expiresWithSession: false,
  })
  return token.save()
}

const server = provider.listen(0, '127.0.0.1', async () => {
  const tokens = []
  for (let i = 0; i < sessions; i++) tokens.push(await createRefreshToken(`user-${i}`))
  announce(server, tokens)
})
