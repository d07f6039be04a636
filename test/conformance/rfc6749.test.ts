/** What RFC 6749 asks and no other test shows. */
import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { createClientSecret } from '../../src/clients/client_secret.ts'
import { createFolder, migratedDeployment, root, runCommand } from '../_process.ts'
import { createTestRandom, password, refusal, refused, startServerWithAlice } from '../_server.ts'
import { basic, formsOfGrants, secret, startServerWithWeb } from './_clients.ts'

const grantTypes = ['password', 'refresh_token', 'client_credentials']
/** What RFC 6749 §5.2 lets an error and its description be made of. */
const errorText = /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/

for (const grantType of grantTypes) {
  test(`a confidential client must authenticate for ${grantType}: its id alone is invalid_client (RFC 6749 §2.2, §3.2.1)`, async t => {
    const server = await startServerWithWeb(t)
    const form = (await formsOfGrants(server))[grantType]!

    for (const answer of [
      await server.token({ ...form, client_id: 'web' }),
      await server.token({ ...form, client_id: 'web', client_secret: '' }),
      await server.token({ ...form, client_secret: secret }),
    ]) {
      t.deepEqual(refusal(answer), refused(400, 'invalid_client'))
    }
    t.deepEqual(refusal(await server.token(form, basic('web', ''))), refused(401, 'invalid_client'))
    t.is((await server.token({ ...form, client_id: 'web', client_secret: secret })).status, 200)
  })

  test(`the answer to ${grantType} has the members of RFC 6749 §5.1 once each and no other, and no cache keeps it`, async t => {
    const server = await startServerWithWeb(t)
    const form = (await formsOfGrants(server))[grantType]!

    const response = await fetch(`${server.url}/token`, {
      method: 'POST',
      body: new URLSearchParams({ ...form, scope: 'read' }),
      headers: basic('web'),
    })
    const text = await response.text()
    const { access_token, expires_in, refresh_token, ...rest } = JSON.parse(text)

    t.is(response.status, 200)
    t.is(response.headers.get('content-type'), 'application/json; charset=utf-8')
    t.is(response.headers.get('cache-control'), 'no-store')
    t.is(response.headers.get('pragma'), 'no-cache')
    t.deepEqual(rest, { token_type: 'Bearer', scope: 'read' })
    t.regex(access_token, /^[\w-]+\.[\w-]+\.[\w-]+$/)
    t.true(Number.isInteger(expires_in) && expires_in > 0)
    // §4.4.3: who can ask again at any time needs no refresh token.
    t.is(typeof refresh_token, grantType === 'client_credentials' ? 'undefined' : 'string')
    const names = [...text.matchAll(/"(\w+)":/g)].map(([, name]) => name)
    t.deepEqual(names, [...new Set(names)])
  })
}

test('what needs to know who asks refuses a public client (RFC 6749 §2.3, §4.4)', async t => {
  const server = await startServerWithWeb(t)
  const { access_token } = await server.signIn()

  const introspection = await server.post('/introspect', { token: access_token, client_id: 'app' })
  t.deepEqual(refusal(introspection), refused(400, 'invalid_client'))
  t.true((await server.introspect(access_token)).body.active)
  const ownToken = await server.token({ grant_type: 'client_credentials', client_id: 'app' })
  t.deepEqual(refusal(ownToken), refused(400, 'unauthorized_client'))
  t.is((await server.token({ grant_type: 'client_credentials' }, basic('web'))).status, 200)
})

test('no error and no description has a character that RFC 6749 §5.2 forbids, whatever the request says', async t => {
  const server = await startServerWithWeb(t)
  const nasty = 'é"\\\r\n\u{1f511}'
  const form = { username: 'alice', password, client_id: 'app' }
  const answers = await Promise.all([
    server.token({ ...form, grant_type: nasty }),
    server.token({ ...form, grant_type: 'password', username: nasty }),
    server.token({ ...form, grant_type: 'password', password: nasty }),
    server.token({ ...form, grant_type: 'password', scope: nasty }),
    server.token({ ...form, grant_type: 'password', resource: nasty }),
    server.token({ ...form, grant_type: 'password', client_id: nasty }),
    server.token({ ...form, grant_type: 'password', [nasty]: '\0' }),
    server.token({ grant_type: 'refresh_token', client_id: 'app', refresh_token: nasty }),
    server.token({ ...form, grant_type: 'password', client_id: 'web', client_secret: nasty }),
    server.token({ client_assertion_type: nasty, client_assertion: nasty, grant_type: 'client_credentials' }),
    server.post('/revoke', { client_id: nasty, token: nasty }),
    server.post('/introspect', { token: nasty }, basic('web', 'wrong')),
    server.request(`/${encodeURIComponent(nasty)}`),
    server.request('/token'),
    server.me('x'),
  ])

  for (const { status, body } of answers) {
    t.true(status >= 400 && status < 500, `${status}`)
    t.regex(body.error, errorText)
    t.regex(body.error_description, errorText)
  }
})

test('every description in the source is of the characters that RFC 6749 §5.2 allows', t => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(name =>
    name.endsWith('.ts'),
  )
  const texts = sources.flatMap(name => {
    const source = readFileSync(join(root, 'src', name), 'utf8')
    const raised = source.matchAll(/new OAuthError\(\s*'(\w+)',\s*(?:'((?:[^'\\\n]|\\.)*)'|`([^`]*)`|(\w+(?:\.\w+)*))/g)
    return [...raised].map(([, code, plain, template]) => [code, plain ?? template?.replaceAll(/\$\{[^}]*\}/g, 'x')])
  })

  t.true(texts.length > 30)
  for (const [code, text] of texts) {
    t.regex(code!, errorText)
    if (text !== undefined) t.regex(text, errorText)
  }
})

test('a public client is never given a secret, a confidential one is (RFC 6749 §10.1)', async t => {
  const environment = migratedDeployment(createFolder(t), { LATCHKEY_BOOTSTRAP: 'off' })
  const add = (...args: string[]) =>
    runCommand(['client', 'add', ...args, '--grant', 'password', '--json'], environment)

  const phone = JSON.parse((await add('phone', '--public')).stdout)
  const rotated = await runCommand(['client', 'rotate-secret', 'phone', '--json'], environment)
  const web = JSON.parse((await add('web')).stdout)

  t.false('client_secret' in phone)
  t.is(rotated.code, 1)
  t.false('client_secret' in JSON.parse(rotated.stdout))
  t.regex(web.client_secret, /^lks_/)
})

test('what is made up here cannot be guessed: 256 bits of a secret or a MAC, 512 of a signature (RFC 6749 §10.10)', async t => {
  const server = await startServerWithWeb(t)
  const { access_token, refresh_token } = await server.signIn()

  const sizes: number[] = []
  createClientSecret(size => {
    sizes.push(size)
    return createTestRandom()(size)
  })
  t.deepEqual(sizes, [32])
  const bytes = Buffer.from(refresh_token.slice('lkr_'.length), 'base64url')
  const [{ refreshTokenKey }] = server.deps.secrets
  t.is(refreshTokenKey.symmetricKeySize, 32)
  t.deepEqual(bytes.subarray(-32), createHmac('sha256', refreshTokenKey).update(bytes.subarray(0, -32)).digest())
  t.is(Buffer.from(access_token.split('.')[2]!, 'base64url').length, 64)
})

test('a client secret that is given must be long: a short one could be found by trying (RFC 6749 §2.3.1, §10.10)', async t => {
  const environment = migratedDeployment(createFolder(t), { LATCHKEY_BOOTSTRAP: 'off' })
  const add = (id: string, given: string) =>
    runCommand(['client', 'add', id, '--secret-stdin', '--grant', 'password', '--json'], environment, given)

  t.is((await add('good', 'a secret of a generator'.repeat(2))).code, 0)
  t.is((await add('web', 'secret')).code, 2)
})

test('the hundredth wrong password for one user is 429 with Retry-After (RFC 6749 §4.3.2, §10.10)', async t => {
  const server = await startServerWithAlice(t)
  await server.addUser({ username: 'bob' })
  const signIn = (username: string, typed: string) =>
    server.token({ grant_type: 'password', client_id: 'app', username, password: typed })

  t.deepEqual(refusal(await signIn('alice', 'wrong')), refused(400, 'invalid_grant'))
  for (let i = 0; i < 98; i++) await signIn('alice', `wrong ${i}`)
  const last = await signIn('alice', 'wrong')

  t.is(last.status, 429)
  t.regex(last.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  t.is((await signIn('bob', password)).status, 200)
})

test('the README says how long what is issued here is (RFC 6749 §2.2, §5.1)', async t => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const { refresh_token } = await (await startServerWithAlice(t)).signIn()

  t.regex(readme, /client id [^.]*\b64 characters/)
  t.regex(readme, new RegExp(`client secret [^.]*\\b${createClientSecret(createTestRandom()).length}\\b`))
  t.regex(readme, new RegExp(`refresh token [^.]*\\b${refresh_token.length}\\b`))
  t.regex(readme, /access token [^.]*\bcharacters/)
})

test('the README says what scope is granted to a request that names none (RFC 6749 §3.3)', t => {
  t.regex(readFileSync(join(root, 'README.md'), 'utf8'), /without `scope`[^.]* all/)
})
