/** Headers that make browsers careful: Helmet's where they apply, HSTS on https. RFC 6797; OWASP Secure Headers. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'ava'
import helmet from 'helmet'
import { ofPage, signInByCookie, withCookie } from '../_cookies.ts'
import { startServer, startServerWithAlice } from '../_server.ts'

/** Headers of Helmet that no page here has, and why. */
const without = new Set([
  // For Internet Explorer 8.
  'x-download-options',
])

test('a page has every header that Helmet sets, and each is Helmet’s or stricter', async t => {
  const express = createServer((request, response) => helmet()(request, response, () => response.end()))
  await new Promise<void>(resolve => express.listen(0, '127.0.0.1', resolve))
  t.teardown(() => express.close())
  const { headers: expected } = await fetch(`http://127.0.0.1:${(express.address() as AddressInfo).port}`)
  const stricter: Record<string, RegExp> = {
    'content-security-policy': /^default-src 'none';.*frame-ancestors 'none'/,
    'referrer-policy': /^(no-referrer|same-origin)$/,
    // Whether its subdomains are on https is not for this server to say.
    'strict-transport-security': /^max-age=31536000$/,
    'x-frame-options': /^DENY$/,
  }
  const server = await startServerWithAlice(t)
  for (const path of ['/', '/login', '/nowhere', '/docs', '/redoc']) {
    const { headers } = await server.request(path, { headers: ofPage })
    for (const [name, value] of expected) {
      if (without.has(name) || ['date', 'connection', 'keep-alive', 'content-length'].includes(name)) continue
      const pattern = stricter[name]
      if (pattern === undefined) t.is(headers.get(name), value, `${path} ${name}`)
      else t.regex(headers.get(name) ?? '', pattern, `${path} ${name}`)
    }
    t.is(headers.get('x-powered-by'), null)
  }
})

for (const [issuer, expected] of [
  ['https://auth.example.com', 'max-age=31536000'],
  ['http://localhost:3000', null],
] as const) {
  test(`at ${issuer} Strict-Transport-Security is ${expected} on answers of every kind (RFC 6797 §7.2)`, async t => {
    const server = await startServerWithAlice(t, { oauth: { issuer } })
    const { access_token } = await server.signIn()
    const answers = await Promise.all([
      server.me(access_token),
      server.me('wrong'),
      server.request('/nowhere'),
      server.request('/.well-known/jwks.json'),
      server.request('/health/live'),
      server.request('/', { headers: ofPage }),
      server.token({ grant_type: 'password' }),
      server.request('/token', { method: 'PATCH' }),
    ])
    for (const { headers } of answers) {
      t.is(headers.get('strict-transport-security'), expected)
      t.is(headers.get('x-content-type-options'), 'nosniff')
      t.regex(headers.get('content-security-policy') ?? '', /default-src 'none'.*frame-ancestors 'none'/)
      t.is(headers.get('server'), null)
    }
  })
}

test('links and metadata come from the issuer, whatever Host or forwarding headers say', async t => {
  const server = await startServerWithAlice(t)
  const cookie = await signInByCookie(server)
  const evil = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http', forwarded: 'host=evil.example' }
  for (const path of ['/', '/login', '/profile', '/openapi.json', '/docs', '/.well-known/openid-configuration']) {
    for (const accept of ['application/json', ofPage.accept]) {
      const { headers, body } = await server.request(path, {
        headers: { ...evil, accept, ...withCookie(cookie) },
      })
      t.notRegex(JSON.stringify([body, ...headers]), /evil\.example/, path)
    }
  }
  const { body } = await server.request('/.well-known/openid-configuration', { headers: evil })
  t.is(body.token_endpoint, 'https://auth.example.com/token')
})

test('a Host header of another site changes nothing', async t => {
  const server = await startServer(t)
  const { port } = new URL(server.url)
  const { get } = await import('node:http')
  const text = await new Promise<string>((resolve, reject) => {
    const headers = { host: 'evil.example' }
    get({ port, host: '127.0.0.1', path: '/.well-known/openid-configuration', headers }, response => {
      let all = ''
      response.on('data', chunk => (all += chunk))
      response.on('end', () => resolve(all))
    }).on('error', reject)
  })
  t.is(JSON.parse(text).issuer, 'https://auth.example.com')
  t.notRegex(text, /evil\.example/)
})
