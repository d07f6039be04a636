/** `@node-oauth/oauth2-server` behind Express, with the model of its documentation, on SQLite or PostgreSQL: opaque tokens. */
import { createRequire } from 'node:module'
import OAuth2Server from '@node-oauth/oauth2-server'
import express from 'express'
import { announce, clientId, isPostgres, openDatabase, openPool, sessions } from './_database.js'

process.env.NODE_ENV = 'production'
const { Request, Response } = createRequire(import.meta.url)('@node-oauth/oauth2-server')

const client = { id: clientId, grants: ['password', 'refresh_token'] }

/** Two tables, written in one transaction. */
function openSqlite() {
  const database = openDatabase(`
    CREATE TABLE access_tokens (access_token TEXT PRIMARY KEY, expires_at INTEGER, scope TEXT, client_id TEXT, user_id TEXT) WITHOUT ROWID;
    CREATE TABLE refresh_tokens (refresh_token TEXT PRIMARY KEY, expires_at INTEGER, scope TEXT, client_id TEXT, user_id TEXT) WITHOUT ROWID`)
  const insertAccess = database.prepare('INSERT INTO access_tokens VALUES (?, ?, ?, ?, ?)')
  const insertRefresh = database.prepare('INSERT INTO refresh_tokens VALUES (?, ?, ?, ?, ?)')
  const findRefresh = database.prepare('SELECT * FROM refresh_tokens WHERE refresh_token = ?')
  const deleteRefresh = database.prepare('DELETE FROM refresh_tokens WHERE refresh_token = ?')
  return {
    save: database.transaction((token, { id }, user) => {
      const scope = (token.scope ?? []).join(' ')
      insertAccess.run(token.accessToken, +token.accessTokenExpiresAt, scope, id, user.id)
      insertRefresh.run(token.refreshToken, +token.refreshTokenExpiresAt, scope, id, user.id)
    }),
    find: refreshToken => findRefresh.get(refreshToken),
    remove: refreshToken => deleteRefresh.run(refreshToken).changes === 1,
  }
}

/** One table with a row for both tokens, as in the example of its documentation for PostgreSQL. */
async function openPostgres() {
  const pool = await openPool(`
    CREATE TABLE oauth_tokens (access_token text NOT NULL, access_token_expires_on timestamptz NOT NULL, client_id text NOT NULL,
      refresh_token text PRIMARY KEY, refresh_token_expires_on timestamptz NOT NULL, user_id text NOT NULL, scope text NOT NULL);
    CREATE INDEX ON oauth_tokens (access_token)`)
  return {
    save: (token, { id }, user) =>
      pool.query('INSERT INTO oauth_tokens VALUES ($1, $2, $3, $4, $5, $6, $7)', [
        token.accessToken,
        token.accessTokenExpiresAt,
        id,
        token.refreshToken,
        token.refreshTokenExpiresAt,
        user.id,
        (token.scope ?? []).join(' '),
      ]),
    async find(refreshToken) {
      const { rows } = await pool.query(
        'SELECT refresh_token_expires_on AS expires_at, scope, user_id FROM oauth_tokens WHERE refresh_token = $1',
        [refreshToken],
      )
      return rows[0]
    },
    remove: async refreshToken =>
      (await pool.query('DELETE FROM oauth_tokens WHERE refresh_token = $1', [refreshToken])).rowCount === 1,
  }
}

const store = isPostgres ? await openPostgres() : openSqlite()

const model = {
  getClient: async id => (id === clientId ? client : undefined),
  getUser: async username => ({ id: username }),
  async saveToken(token, forClient, user) {
    await store.save(token, forClient, user)
    return { ...token, client: forClient, user }
  },
  async getRefreshToken(refreshToken) {
    const row = await store.find(refreshToken)
    return (
      row && {
        refreshToken,
        refreshTokenExpiresAt: new Date(row.expires_at),
        scope: row.scope.split(' '),
        client,
        user: { id: row.user_id },
      }
    )
  },
  revokeToken: async ({ refreshToken }) => store.remove(refreshToken),
  validateScope: async (_user, _client, scope) => scope ?? ['read', 'write'],
}

const oauth = new OAuth2Server({ model, requireClientAuthentication: { password: false, refresh_token: false } })
const app = express()
app.use(express.urlencoded({ extended: false }))
app.post('/token', async (request, response) => {
  const answer = new Response(response)
  try {
    await oauth.token(new Request(request), answer)
    response.set(answer.headers).status(answer.status).json(answer.body)
  } catch (error) {
    response.status(error.code ?? 500).json({ error: error.name })
  }
})

const server = app.listen(0, '127.0.0.1', async () => {
  const { port } = server.address()
  const tokens = []
  for (let i = 0; i < sessions; i++) {
    const body = new URLSearchParams({
      grant_type: 'password',
      client_id: clientId,
      username: `user-${i}`,
      password: 'x',
    })
    tokens.push((await (await fetch(`http://127.0.0.1:${port}/token`, { method: 'POST', body })).json()).refresh_token)
  }
  announce(server, tokens)
})
