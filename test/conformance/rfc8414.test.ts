/** What RFC 8414 asks and no other test shows. RFC 9207: that there is nothing to identify. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { root } from '../_process.ts'
import { issuer, refusal, refused, startServer } from '../_server.ts'

const metadataPath = '/.well-known/oauth-authorization-server'
const documents = [metadataPath, '/.well-known/openid-configuration']

for (const path of documents) {
  test(`${path}: every URL is https, below the issuer, without query and fragment (RFC 8414 §2, RFC 6749 §3.2, RFC 7009 §2)`, async t => {
    const { body } = await (await startServer(t)).request(path)

    const urls = Object.entries<string>(body).filter(([name]) => /^issuer$|_(?:endpoint|uri)$/.test(name))
    t.true(urls.length >= 5)
    for (const [name, text] of urls) {
      const url = new URL(text)
      t.is(url.protocol, 'https:', name)
      t.true(text === issuer || text.startsWith(`${issuer}/`), name)
      t.notRegex(text, /[?#]/, name)
    }
  })

  test(`${path} is a 200 of application/json to GET, with what is required and no empty list (RFC 8414 §2, §3.1, §3.2)`, async t => {
    const server = await startServer(t)

    const { status, headers, body } = await server.request(path)

    t.is(status, 200)
    t.is(headers.get('content-type'), 'application/json; charset=utf-8')
    t.is(body.issuer, issuer)
    t.is(body.token_endpoint, `${issuer}/token`)
    t.deepEqual(body.response_types_supported, ['code'])
    t.true(body.scopes_supported.length > 0)
    for (const [name, value] of Object.entries(body)) {
      if (Array.isArray(value)) t.true(value.length > 0, name)
    }
    t.deepEqual(refusal(await server.request(path, { method: 'POST' })), refused(405, 'method_not_allowed'))
  })

  test(`${path}: where private_key_jwt is announced, so are its algorithms, RS256 among them and none not (RFC 8414 §2)`, async t => {
    const { body } = await (await startServer(t)).request(path)

    for (const endpoint of ['token', 'revocation', 'introspection']) {
      t.true(body[`${endpoint}_endpoint_auth_methods_supported`].includes('private_key_jwt'), endpoint)
      const algs = body[`${endpoint}_endpoint_auth_signing_alg_values_supported`]
      t.true(algs.includes('RS256'), endpoint)
      t.false(
        algs.some((alg: string) => /^none$|^HS/.test(alg)),
        endpoint,
      )
    }
  })

  test(`${path} announces no authorization endpoint, and there is none (RFC 8414 §2, RFC 9207 §3)`, async t => {
    const server = await startServer(t)
    const { body } = await server.request(path)

    t.false('authorization_endpoint' in body)
    t.false('authorization_response_iss_parameter_supported' in body)
    t.false('signed_metadata' in body)
    t.is((await server.request('/authorize?response_type=code&client_id=app')).status, 404)
  })
}

test('both metadata documents say the same of what both say (RFC 9068 §4)', async t => {
  const server = await startServer(t)
  const [{ body: metadata }, { body: discovery }] = [
    await server.request(documents[0]!),
    await server.request(documents[1]!),
  ]

  t.like(discovery, metadata)
  t.truthy(metadata.jwks_uri)
})

test('the README names the well-known path of each document (RFC 8414 §3)', t => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')

  for (const path of documents) t.true(readme.includes(path), path)
})

test('the metadata of an issuer with a path is where the well-known path comes before it (RFC 8414 §3, §3.1)', async t => {
  const server = await startServer(t, { oauth: { issuer: 'https://example.com/tenant/one' } })

  t.like(await server.request(`${metadataPath}/tenant/one`), {
    status: 200,
    body: { issuer: 'https://example.com/tenant/one' },
  })
  t.is((await server.request(`${metadataPath}/tenant/two`)).status, 404)
})
