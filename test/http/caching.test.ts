/**
 * A cache gives what it keeps to whoever asks next, whatever headers that one sends. RFC 9110 §12.5.5, RFC 9111 §4.1; the fetch
 * standard, CORS protocol and HTTP caches.
 */
import test from 'ava'
import { describedEndpoints } from '../_api.ts'
import { browserAccept, signInByCookie, withCookie } from '../_cookies.ts'
import { type Answer, issuer, startServerWithAlice } from '../_server.ts'

/** What a request may bring, beside nothing. */
const variants: readonly Record<string, string>[] = [
  { origin: 'https://app.example.com' },
  { origin: 'https://other.example' },
  { origin: 'null' },
  { accept: browserAccept },
  { accept: 'application/json' },
  { accept: 'application/jwk-set+json' },
  { accept: 'image/png' },
  { 'accept-language': 'ko' },
  { 'accept-encoding': 'br' },
  { 'accept-encoding': 'gzip' },
  { 'accept-encoding': 'zstd' },
  { 'cache-control': 'no-cache' },
  { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'empty' },
  { 'sec-fetch-site': 'none', 'sec-fetch-dest': 'document' },
  { 'sec-purpose': 'prefetch' },
  { 'user-agent': 'another' },
  { 'x-forwarded-proto': 'http', 'x-forwarded-host': 'evil.example' },
  { referer: 'https://other.example/' },
  { range: 'bytes=0-9' },
  { te: 'trailers', dnt: '1' },
]

/** What of an answer a cache keeps. Those headers that are of this one answer are not. */
function kept({ status, headers, body }: Answer) {
  const ofThisOne = ['date', 'x-request-id', 'connection', 'keep-alive', 'content-length', 'transfer-encoding']
  const rest = Object.fromEntries([...headers].filter(([name]) => !ofThisOne.includes(name)))
  return { status, headers: rest, body }
}

test('what a cache may keep is the same for every request, or Vary names the header that it depends on (RFC 9111 §4.1)', async t => {
  const server = await startServerWithAlice(t, { http: { corsOrigins: ['https://app.example.com'] } })
  const { access_token } = await server.signIn()
  const caller = [withCookie(await signInByCookie(server)), server.bearer(access_token)]
  const page = (await server.request('/', { headers: { accept: browserAccept } })).body
  const docs = (await server.request('/docs', { headers: { accept: browserAccept } })).body
  const files = [...`${page}${docs}`.matchAll(/ (?:href|src)="\/?((?:docs\/)?assets\/[^"]+)"/g)].map(
    ([, file]) => `/${file}`,
  )
  const paths = describedEndpoints(issuer, true)
    .filter(({ method, path }) => method === 'get' && !path.includes('{'))
    .map(({ path }) => path)
  const cacheable: string[] = []
  for (const path of [...paths, ...files, '/nothing', '/.well-known/nothing', '/assets/nothing', '/token']) {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PATCH']) {
      const ask = (headers: Record<string, string>) =>
        // fetch() would send headers of its own where none is said.
        server.request(path, { method, headers: { accept: '*/*', 'accept-encoding': 'identity', ...headers } })
      const plain = await ask({})
      for (const variant of [...variants, ...caller]) {
        const answer = await ask(variant)
        if (isUncacheable(plain) && isUncacheable(answer)) continue
        t.false(isUncacheable(plain) !== isUncacheable(answer), `${method} ${path} ${JSON.stringify(variant)}`)
        const named = variesBy(plain)
        // What it depends on is named in every answer, or a cache would not know of it.
        t.deepEqual(variesBy(answer), named, `${method} ${path} ${JSON.stringify(variant)}`)
        if (Object.keys(variant).some(name => named.includes(name))) continue
        t.deepEqual(kept(answer), kept(plain), `${method} ${path} ${JSON.stringify(variant)}`)
      }
      if (isUncacheable(plain)) continue
      cacheable.push(`${method} ${path}`)
      t.is(plain.headers.get('access-control-allow-origin'), '*', path)
      t.is(plain.headers.get('set-cookie'), null, path)
    }
  }
  t.true(['/.well-known/jwks.json', '/openapi.json', ...files].every(path => cacheable.includes(`GET ${path}`)))
  t.deepEqual(
    cacheable.filter(one => !/^(?:GET|HEAD) /.test(one)),
    [],
  )
})

test('304 has the headers of the 200 that it stands for (RFC 9110 §15.4.5)', async t => {
  const server = await startServerWithAlice(t)
  for (const path of ['/.well-known/jwks.json', '/.well-known/openid-configuration', '/openapi.json']) {
    for (const headers of [{}, { origin: 'https://other.example' }]) {
      const full = await server.request(path, { headers })
      const known = full.headers.get('etag')
      const none = await server.request(path, { headers: { ...headers, 'if-none-match': known ?? '' } })
      t.is(none.status, 304, path)
      for (const name of ['cache-control', 'etag', 'vary', 'access-control-allow-origin'])
        t.is(none.headers.get(name), full.headers.get(name), `${path} ${name}`)
    }
  }
})

function isUncacheable({ headers }: Answer): boolean {
  return /\bno-store\b/.test(headers.get('cache-control') ?? '')
}

function variesBy({ headers }: Answer): string[] {
  return (headers.get('vary') ?? '')
    .toLowerCase()
    .split(/\s*,\s*/)
    .filter(name => name !== '')
    .sort()
}
