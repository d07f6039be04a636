/** What the domain of passkeys says of other sites and of apps. */
import test from 'ava'
import { relyingPartyOf } from '../../src/users/factors/relying_party.ts'
import { issuer, startServer, type TestContext } from '../_server.ts'

const relatedOrigins = '/.well-known/webauthn'
const appleApps = '/.well-known/apple-app-site-association'
const androidApps = '/.well-known/assetlinks.json'

const [first, second] = ['14', 'FA'].map(byte => Array.from({ length: 32 }, () => byte).join(':')) as [string, string]

const startWithApps = (t: TestContext) =>
  startServer(t, {
    oauth: {
      relyingParty: relyingPartyOf(issuer, {
        rpId: 'example.com',
        relatedOrigins: ['https://app.example.com', 'https://example.net'],
        appleApps: ['A1B2C3D4E5.com.example.app'],
        androidApps: [
          { packageName: 'com.example.app', fingerprint: first },
          { packageName: 'com.example.other', fingerprint: first },
          { packageName: 'com.example.app', fingerprint: second },
        ],
      }),
    },
  })

test('a browser reads which other sites may use the passkeys (WebAuthn §5.11)', async t => {
  const { request } = await startWithApps(t)
  const { status, body, headers } = await request(relatedOrigins)
  t.is(status, 200)
  t.deepEqual(body, { origins: ['https://app.example.com', 'https://example.net'] })
  t.regex(headers.get('content-type')!, /^application\/json/)
  t.is(headers.get('access-control-allow-origin'), '*')
})

test("Apple's servers read which apps may, at once and as JSON (Associated Domains)", async t => {
  const { request } = await startWithApps(t)
  const { status, body, headers } = await request(appleApps, { headers: { accept: '*/*' } })
  t.is(status, 200)
  t.deepEqual(body, { webcredentials: { apps: ['A1B2C3D4E5.com.example.app'] } })
  t.regex(headers.get('content-type')!, /^application\/json/)
})

test('Android reads one statement for each app, with both relations and all its certificates (Digital Asset Links)', async t => {
  const { request } = await startWithApps(t)
  const { status, body } = await request(androidApps)
  t.is(status, 200)
  const statement = (packageName: string, fingerprints: string[]) => ({
    relation: ['delegate_permission/common.handle_all_urls', 'delegate_permission/common.get_login_creds'],
    target: { namespace: 'android_app', package_name: packageName, sha256_cert_fingerprints: fingerprints },
  })
  t.deepEqual(body, [statement('com.example.app', [first, second]), statement('com.example.other', [first])])
})

test('caches may keep these, and ask whether they are still the same', async t => {
  const { request } = await startWithApps(t)
  for (const path of [relatedOrigins, appleApps, androidApps]) {
    const { headers } = await request(path)
    t.is(headers.get('cache-control'), 'public, max-age=300')
    t.is((await request(path, { headers: { 'if-none-match': headers.get('etag')! } })).status, 304)
    t.is((await request(path, { method: 'HEAD' })).status, 200)
    t.is((await request(path, { method: 'POST' })).status, 405)
  }
})

test('where nothing is set each place is 404 in JSON, also to a browser and where there can be no passkeys', async t => {
  for (const relyingParty of [relyingPartyOf(issuer), undefined]) {
    const { request } = await startServer(t, { oauth: { relyingParty } })
    for (const path of [relatedOrigins, appleApps, androidApps]) {
      const { status, body } = await request(path, { headers: { accept: 'text/html' } })
      t.is(status, 404)
      t.deepEqual(body, { error: 'not_found', error_description: 'nothing is set for this place' })
    }
  }
})
