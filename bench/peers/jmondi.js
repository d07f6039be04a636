/** `@jmondi/oauth2-server` behind Express, with its repositories on SQLite: access and refresh tokens as JWTs, one row for each pair. */
import { randomBytes } from 'node:crypto'
import { AuthorizationServer, DateInterval } from '@jmondi/oauth2-server'
import { handleExpressError, handleExpressResponse } from '@jmondi/oauth2-server/express'
import express from 'express'
import { announce, clientId, openDatabase, sessions } from './_database.js'

process.env.NODE_ENV = 'production'
const database = openDatabase(`
  CREATE TABLE tokens (access_token TEXT PRIMARY KEY, access_token_expires_at INTEGER, refresh_token TEXT UNIQUE,
    refresh_token_expires_at INTEGER, client_id TEXT, user_id TEXT, scopes TEXT) WITHOUT ROWID`)
const upsert = database.prepare(`
  INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (access_token) DO UPDATE SET
    access_token_expires_at = excluded.access_token_expires_at, refresh_token = excluded.refresh_token,
    refresh_token_expires_at = excluded.refresh_token_expires_at`)
const findByRefresh = database.prepare('SELECT * FROM tokens WHERE refresh_token = ?')

const client = {
  id: clientId,
  name: 'Phone',
  redirectUris: [],
  allowedGrants: ['password', 'refresh_token'],
  scopes: [{ name: 'read' }, { name: 'write' }],
}
const newToken = () => randomBytes(32).toString('base64url')
const inSeconds = seconds => new Date(Date.now() + seconds * 1000)

const clients = {
  getByIdentifier: async () => client,
  isClientValid: async () => true,
}
const scopes = {
  getAllByIdentifiers: async names => client.scopes.filter(({ name }) => names.includes(name)),
  finalize: async granted => granted,
}
const users = { getUserByCredentials: async id => ({ id }) }
const tokens = {
  issueToken: async (forClient, granted, user) => ({
    accessToken: newToken(),
    accessTokenExpiresAt: inSeconds(900),
    client: forClient,
    scopes: granted,
    user,
  }),
  async issueRefreshToken(token) {
    token.refreshToken = newToken()
    token.refreshTokenExpiresAt = inSeconds(2_592_000)
    await tokens.persist(token)
    return token
  },
  async persist(token) {
    upsert.run(
      token.accessToken,
      +token.accessTokenExpiresAt,
      token.refreshToken ?? null,
      token.refreshTokenExpiresAt ? +token.refreshTokenExpiresAt : null,
      token.client.id,
      String(token.user?.id),
      token.scopes.map(({ name }) => name).join(' '),
    )
  },
  async revoke(token) {
    token.accessTokenExpiresAt = new Date(0)
    token.refreshTokenExpiresAt = new Date(0)
    await tokens.persist(token)
  },
  isRefreshTokenRevoked: async token => Date.now() > +token.refreshTokenExpiresAt,
  async getByRefreshToken(refreshToken) {
    const row = findByRefresh.get(refreshToken)
    if (row === undefined) throw new Error('no such token')
    return {
      accessToken: row.access_token,
      accessTokenExpiresAt: new Date(row.access_token_expires_at),
      refreshToken,
      refreshTokenExpiresAt: new Date(row.refresh_token_expires_at),
      client,
      user: { id: row.user_id },
      scopes: row.scopes.split(' ').map(name => ({ name })),
    }
  },
}

const oauth = new AuthorizationServer(clients, tokens, scopes, newToken())
oauth.enableGrantTypes(
  ['refresh_token', new DateInterval('15m')],
  [{ grant: 'password', userRepository: users }, new DateInterval('15m')],
)
const app = express()
app.use(express.urlencoded({ extended: false }))
app.post('/token', async (request, response) => {
  try {
    handleExpressResponse(response, await oauth.respondToAccessTokenRequest(request))
  } catch (error) {
    handleExpressError(error, response)
  }
})

const server = app.listen(0, '127.0.0.1', async () => {
  const { port } = server.address()
  const refreshTokens = []
  for (let i = 0; i < sessions; i++) {
    const body = new URLSearchParams({
      grant_type: 'password',
      client_id: clientId,
      username: `user-${i}`,
      password: 'x',
      scope: 'read write',
    })
    const answer = await fetch(`http://127.0.0.1:${port}/token`, { method: 'POST', body })
    refreshTokens.push((await answer.json()).refresh_token)
  }
  announce(server, refreshTokens)
})
