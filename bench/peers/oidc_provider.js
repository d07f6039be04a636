/** `oidc-provider` with an adapter on SQLite or PostgreSQL: opaque tokens, rotation on, one row for each thing that it stores. */
import { generateKeyPairSync } from 'node:crypto'
import { Provider } from 'oidc-provider'
import { announce, clientId, isPostgres, openDatabase, openPool, sessions } from './_database.js'

process.env.NODE_ENV = 'production'
const seconds = () => Math.floor(Date.now() / 1000)

function openSqlite() {
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
  return {
    upsert: (...values) => upsert.run(...values),
    find(kind, id) {
      const row = find.get(kind, id)
      return row && { ...row, payload: JSON.parse(row.payload) }
    },
    destroy: (kind, id) => destroy.run(kind, id),
    destroyGrant: grantId => destroyGrant.run(grantId),
    consume: (kind, id) => consume.run(seconds(), kind, id),
  }
}

/** As the adapters that its users wrote: one table, the payload as jsonb. */
async function openPostgres() {
  const pool = await openPool(`
    CREATE TABLE oidc_payloads (id text, type text, payload jsonb, grant_id text, expires_at bigint, PRIMARY KEY (id, type));
    CREATE INDEX ON oidc_payloads (grant_id)`)
  return {
    upsert: (kind, id, payload, grantId, expiresAt) =>
      pool.query(
        `INSERT INTO oidc_payloads VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id, type) DO UPDATE
         SET payload = excluded.payload, grant_id = excluded.grant_id, expires_at = excluded.expires_at`,
        [id, kind, payload, grantId, expiresAt],
      ),
    async find(kind, id) {
      const { rows } = await pool.query('SELECT payload, expires_at FROM oidc_payloads WHERE id = $1 AND type = $2', [
        id,
        kind,
      ])
      return rows[0]
    },
    destroy: (kind, id) => pool.query('DELETE FROM oidc_payloads WHERE id = $1 AND type = $2', [id, kind]),
    destroyGrant: grantId => pool.query('DELETE FROM oidc_payloads WHERE grant_id = $1', [grantId]),
    consume: (kind, id) =>
      pool.query(
        `UPDATE oidc_payloads SET payload = payload || jsonb_build_object('consumed', $3::bigint) WHERE id = $1 AND type = $2`,
        [id, kind, seconds()],
      ),
  }
}

const store = isPostgres ? await openPostgres() : openSqlite()

class Adapter {
  constructor(kind) {
    this.kind = kind
  }
  async upsert(id, payload, expiresIn) {
    const expiresAt = seconds() + (expiresIn ?? 31_536_000)
    await store.upsert(this.kind, id, JSON.stringify(payload), payload.grantId ?? null, expiresAt)
  }
  async find(id) {
    const row = await store.find(this.kind, id)
    return row === undefined || Number(row.expires_at) < seconds() ? undefined : row.payload
  }
  async findByUid() {}
  async findByUserCode() {}
  async destroy(id) {
    await store.destroy(this.kind, id)
  }
  async revokeByGrantId(grantId) {
    await store.destroyGrant(grantId)
  }
  async consume(id) {
    await store.consume(this.kind, id)
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
