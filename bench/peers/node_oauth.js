/** `@node-oauth/oauth2-server` behind Express, with the model of its documentation on SQLite: opaque tokens in two tables. */
import { createRequire } from 'node:module'
import OAuth2Server from '@node-oauth/oauth2-server'
import express from 'express'
import { announce, clientId, openDatabase, sessions } from './_database.js'

process.env.NODE_ENV = 'production'
const { Request, Response } = createRequire(import.meta.url)('@node-oauth/oauth2-server')

const database = openDatabase(`
  CREATE TABLE access_tokens (access_token TEXT PRIMARY KEY, expires_at INTEGER, scope TEXT, client_id TEXT, user_id TEXT) WITHOUT ROWID;
  CREATE TABLE refresh_tokens (refresh_token TEXT PRIMARY KEY, expires_at INTEGER, scope TEXT, client_id TEXT, user_id TEXT) WITHOUT ROWID`)
const insertAccess = database.prepare('INSERT INTO access_tokens VALUES (?, ?, ?, ?, ?)')
const insertRefresh = database.prepare('INSERT INTO refresh_tokens VALUES (?, ?, ?, ?, ?)')
const findRefresh = database.prepare('SELECT * FROM refresh_tokens WHERE refresh_token = ?')
const deleteRefresh = database.prepare('DELETE FROM refresh_tokens WHERE refresh_token = ?')

const client = { id: clientId, grants: ['password', 'refresh_token'] }
const save = database.transaction((token, { id }, user) => {
  const scope = (token.scope ?? []).join(' ')
  insertAccess.run(token.accessToken, +token.accessTokenExpiresAt, scope, id, user.id)
  insertRefresh.run(token.refreshToken, +token.refreshTokenExpiresAt, scope, id, user.id)
})

const model = {
  getClient: async id => (id === clientId ? client : undefined),
  getUser: async username => ({ id: username }),
  async saveToken(token, forClient, user) {
    save(token, forClient, user)
    return { ...token, client: forClient, user }
  },
  async getRefreshToken(refreshToken) {
    const row = findRefresh.get(refreshToken)
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
  revokeToken: async ({ refreshToken }) => deleteRefresh.run(refreshToken).changes === 1,
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
