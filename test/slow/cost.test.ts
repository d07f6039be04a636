/**
 * Promise 8: whatever a stranger sends costs at most five times a plain request of the same kind (CWE-407, CWE-400). One row for
 * each thing that can be long: its limit, and what of that length costs most. Processor time of a server that is alone in its
 * process; the least of several rounds, because a busy machine only ever adds.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request as httpRequest, type OutgoingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import type { Context } from 'koa'
import { claimedClientId } from '../../src/clients/client_assertion.ts'
import { OAuthError } from '../../src/error.ts'
import { cookieName } from '../../src/http/browser/cookies.ts'
import { parseForm } from '../../src/http/params.ts'
import { readQuery } from '../../src/http/query.ts'
import { toNfc } from '../../src/normal_form.ts'
import { narrowAudience } from '../../src/oauth/resource.ts'
import { narrowScope, parseScope } from '../../src/oauth/scope.ts'
import { pickLanguage } from '../../src/pages/language.ts'
import { nameUserAgent } from '../../src/pages/user_agents.ts'
import { parseRefreshToken } from '../../src/sessions/refresh_token.ts'
import { readLabel, readUsername, usernameFold, usernameKey } from '../../src/text.ts'
import { networksOf } from '../../src/throttle/network.ts'
import { passwordProblem } from '../../src/users/password_rules.ts'
import type { CostServer } from '../_cost_server.ts'
import { root } from '../_process.ts'
import { createTestSecrets, issuer } from '../_server.ts'

const mostTimes = 5

type Sent = { method?: string; path: string; headers?: OutgoingHttpHeaders; body?: string | Buffer }
/** Who is signed in at the server that is measured. */
type SignedIn = Pick<CostServer, 'accessToken' | 'cookie'>
type Row = readonly [
  what: string,
  /** Bytes on the wire at which it is measured: its own limit or that of what it comes in, and more where more is let in. */
  limits: readonly number[],
  /** What is repeated up to there. */
  unit: string | readonly string[],
  request: (text: string, signedIn: SignedIn) => Sent,
]

/** Limits of what everything comes in, less the rest of the request: Node's of a head, and those of bodies. */
const [head, form, pageForm] = [15_000, 16_000, 65_000]
const url = 7900

const formType = 'application/x-www-form-urlencoded'
const html = { accept: 'text/html' }
const post = (path: string, body: string | Buffer, headers: OutgoingHttpHeaders = {}): Sent => ({
  path,
  body,
  headers: { 'content-type': formType, ...headers },
})
const get = (path: string, headers: OutgoingHttpHeaders = {}): Sent => ({ path, headers })
const signInWith = (text: string) => post('/token', `grant_type=password&client_id=app&${text}`)
const loginWith = (body: string) => post('/login', body, html)
const jsonLogin = (body: string) => post('/login', body, { 'content-type': 'application/json' })
const withBasic = (pair: string) =>
  post('/token', 'grant_type=client_credentials', { authorization: `Basic ${Buffer.from(pair).toString('base64')}` })
const assertion = (claims: string) => {
  const parts = ['{"alg":"ES256"}', claims, 'x'.repeat(64)].map(part => Buffer.from(part).toString('base64url'))
  const type = 'urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer'
  return post('/token', `grant_type=x&client_assertion_type=${type}&client_assertion=${parts.join('.')}`)
}
const changePassword = (text: string, { accessToken }: SignedIn): Sent => ({
  ...post('/users/me/password', text, { authorization: `Bearer ${accessToken}` }),
  method: 'PUT',
})

/** Marks whose canonical order is another than that of the text, and scripts whose characters are put together. */
const marks = ['\u0301\u0316', '\u0f73\u0f72', `a${'\u0301\u0316'.repeat(15)}`, '\u1112\u1161\u11ab', 'é', 'a']
const encodedMarks = marks.map(encodeURIComponent)
const pairs = ['a&%.&', 'a&', '&', '=', '%', '%c3%a9', '+', 'a=b&']
/** Names that differ. */
const names = (length: number, separator: string) =>
  Array.from({ length: length / 4 }, (_, i) => (1296 + i).toString(36)).join(separator)

const rows: readonly Row[] = [
  ['the path', [url, head], ['a', '/', '%41', '../', 'lkr_', 'eyJa/'], text => get(`/${text}`)],
  ['the path of a page', [url, head], ['<', '%3c'], text => get(`/${text}`, html)],
  [
    'the id of a session',
    [url],
    ['a', '%c3%a9'],
    (text, { accessToken }) => ({
      ...get(`/sessions/${text}`, { authorization: `Bearer ${accessToken}` }),
      method: 'DELETE',
    }),
  ],
  ['an absolute target', [url, head], ['../a/', '%2e/', '@', '?'], text => get(`http://h/${text}`)],
  ['the host of an absolute target', [url, head], ['a.', 'xn--a.', '%c3%a9', '1.'], text => get(`http://${text}/`)],
  ['the query of a page', [url, head], [...pairs, names(url, '&')], text => get(`/login?${text}`, html)],
  ['return_to in the query', [url, head], ['./', '%2e', 'a'], text => get(`/login?return_to=/${text}`, html)],
  ['the query at the token endpoint', [url, head], pairs, text => post(`/token?${text}`, 'grant_type=x')],
  [
    'the query beside an access token',
    [url, head],
    pairs,
    (text, { accessToken }) => get(`/users/me?${text}`, { authorization: `Bearer ${accessToken}` }),
  ],
  [
    'the query of the account',
    [url],
    ['1', 'a&'],
    (text, { cookie }) => get(`/profile?start=${text}`, { ...html, cookie }),
  ],
  [
    'the query of a sign-out',
    [url],
    ['1', 'a&'],
    (text, { cookie }) => get(`/logout?scope=${text}`, { ...html, cookie }),
  ],
  [
    'Accept',
    [1000, head],
    ['a/b,', '*/*;q=.1,', 'text/html;q=0.5,', ';a=b', '"', '",', ' '],
    text => get('/login', { accept: `text/html,${text}` }),
  ],
  [
    'Accept of an introspection',
    [1000, head],
    ['a/b,', 'application/json;q=.1,'],
    text => post('/introspect', 'client_id=app&token=a', { accept: text }),
  ],
  [
    'Accept-Language',
    [1000, head],
    ['a,', names(1000, ','), 'en', '-a', ' ', 'en;q=0.1,'],
    text => get('/login', { ...html, 'accept-language': `en${text}x` }),
  ],
  [
    'Accept-Encoding',
    [500, head],
    ['a,', 'a;q=0.1,', 'br;q=.1,'],
    text => get('/openapi.json', { 'accept-encoding': `br,${text}` }),
  ],
  [
    'If-None-Match',
    [1000, head],
    [',', 'W/ ,', '"'],
    text => get('/openapi.json', { 'if-none-match': text, 'accept-encoding': 'br' }),
  ],
  [
    'If-None-Match of the keys',
    [1000, head],
    [',', 'W/ ,'],
    text => get('/.well-known/jwks.json', { 'if-none-match': text }),
  ],
  [
    'Cookie',
    [head],
    ['a;', ';', ' ', `${cookieName(issuer)}=`, `${cookieName(issuer)}=a;`, 'a=b; '],
    text => get('/login', { ...html, cookie: text }),
  ],
  [
    'a Bearer token',
    [head],
    ['a', '.', '=', '~+', ' '],
    text => get('/users/me', { authorization: `Bearer ${text}!` }),
  ],
  [
    'the claims of a Bearer token',
    [head - 1000],
    'A',
    (text, { accessToken }) =>
      get('/users/me', { authorization: `Bearer ${accessToken.replace(/\.[^.]+\./, `.${text || 'A'}.`)}` }),
  ],
  ['the id of Basic', [head / 2], [...encodedMarks, '+', '%'], text => withBasic(`a${text}:b`)],
  ['the secret of Basic', [head / 2], [...marks, '%41', '%'], text => withBasic(`a:b${text}`)],
  [
    'Content-Type',
    [head],
    [';a=b', ' ', '\\"', '"'],
    text => post('/token', 'grant_type=x', { 'content-type': `${formType};a="${text}` }),
  ],
  [
    'X-Forwarded-For',
    [head],
    ['1,', '10.0.0.1,', '10.0.0.1:80,', '[', '::1,', ' '],
    text => get('/users/me', { 'x-forwarded-for': `${text}10.0.0.1` }),
  ],
  ['Forwarded', [head], ['for=1,', '"'], text => get('/users/me', { forwarded: text })],
  [
    'Origin',
    [500, head],
    ['a', 'http://a.', '/'],
    text => post('/token', 'grant_type=x', { origin: `https://${text}` }),
  ],
  [
    'Access-Control-Request-Headers',
    [1000, head],
    ['a,', ' ', 'a '],
    text => ({
      ...get('/token', {
        origin: 'https://a',
        'access-control-request-method': 'POST',
        'access-control-request-headers': `a${text}`,
      }),
      method: 'OPTIONS',
    }),
  ],
  [
    'Sec-Fetch-Site',
    [100, head],
    'a',
    text => post('/login', 'username=a', { ...html, 'sec-fetch-site': `none${text}` }),
  ],
  [
    'User-Agent',
    [head],
    ['a', 'Mozilla/5.0 (', 'Version/1 '],
    text => ({
      ...signInWith('username=a&password=b'),
      headers: { 'content-type': formType, 'user-agent': `a${text}` },
    }),
  ],
  ['Host', [head], ['a', '.'], text => get('/login', { ...html, host: `a${text}` })],
  [
    'ever new headers',
    [head],
    'x',
    text =>
      get('/login', {
        ...html,
        ...Object.fromEntries(Array.from({ length: text.length / 10 }, (_, i) => [`x-${i}`, 'a'])),
      }),
  ],
  [
    'one header again and again',
    [head],
    'x',
    text => get('/login', { accept: ['text/html', ...Array(Math.floor(text.length / 12)).fill('a')] }),
  ],

  ['a form', [form], [...pairs, names(form, '&'), '%ff'], text => post('/token', `grant_type=x&a=${text}`)],
  ['username', [form], encodedMarks, text => signInWith(`password=b&username=a${text}`)],
  ['username as it is', [form], marks, text => signInWith(`password=b&username=a${text}`)],
  ['password', [form], encodedMarks, text => signInWith(`username=nobody&password=b${text}`)],
  ['password as it is', [form], [...marks, '+'], text => signInWith(`username=nobody&password=b${text}`)],
  ['the password of a user', [form], marks, text => signInWith(`username=alice&password=b${text}`)],
  ['device', [form], marks, text => signInWith(`username=nobody&password=b&device=b${text}`)],
  ['client_id', [form], marks, text => post('/token', `grant_type=x&client_id=b${text}`)],
  ['client_secret', [form], marks, text => post('/token', `grant_type=x&client_id=b&client_secret=s${text}`)],
  ['grant_type', [form], marks, text => post('/token', `client_id=app&grant_type=s${text}`)],
  [
    'scope',
    [form],
    ['a+', '+', names(form, '+'), 'read+', 'é'],
    text => signInWith(`username=nobody&password=b&scope=read+${text}`),
  ],
  [
    'resource',
    [form],
    ['&resource=a', '&resource=https://auth.example.com', '../a/', 'é.', '@'],
    text => signInWith(`username=nobody&password=b&resource=https://a.example/${text}`),
  ],
  [
    'refresh_token',
    [form],
    ['x', 'é'],
    text => post('/token', `grant_type=refresh_token&client_id=app&refresh_token=lkr_${text}`),
  ],
  ['a token to revoke', [form], ['x', '.', 'é'], text => post('/revoke', `client_id=app&token=x${text}`)],
  [
    'the claims of a token to revoke',
    [form - 1000],
    'A',
    (text, { accessToken }) =>
      post('/revoke', `client_id=app&token=${accessToken.replace(/\.[^.]+\./, `.${text || 'A'}.`)}`),
  ],
  [
    'the claims of an assertion',
    [8000, 11_000],
    ['"a":1,', '"a":[],', '"\\u0301":1,'],
    text => assertion(`{${text}"sub":"jobs"}`),
  ],
  [
    'other claims of an assertion',
    [8000, 11_000],
    names(11_000, '":1,"'),
    text => assertion(`{"${text}":1,"sub":"jobs"}`),
  ],
  [
    'the depth of an assertion',
    [11_000],
    '[',
    text => assertion(`{"sub":"jobs","a":${text}${']'.repeat(text.length)}}`),
  ],
  ['the sub of an assertion', [11_000], ['a', 'é'], text => assertion(`{"sub":"${text}"}`)],

  [
    'a form of a page',
    [pageForm],
    [...pairs, names(pageForm, '&')],
    text => loginWith(`username=a&password=b&a=${text}`),
  ],
  ['username of the page', [pageForm], encodedMarks, text => loginWith(`password=b&username=a${text}`)],
  ['username of the page at its limit', [480], marks, text => loginWith(`password=b&username=a${text}`)],
  ['password of the page at its limit', [2000], marks, text => loginWith(`username=a&password=b${text}`)],
  ['return_to of the page', [1900, pageForm], ['a', './', '%2e'], text => loginWith(`username=a&return_to=/${text}`)],
  ['the members of JSON', [pageForm], ['"a":"",', '"a":1,', '"a":{},'], text => jsonLogin(`{${text}"a":""}`)],
  ['other members of JSON', [pageForm], names(pageForm, '":"","'), text => jsonLogin(`{"${text}":""}`)],
  ['a JSON array', [pageForm], ['1,', '[],', '"",'], text => jsonLogin(`[${text}1]`)],
  ['the depth of JSON', [pageForm], ['[', '{"a":'], text => jsonLogin(text)],
  ['a JSON text', [pageForm], ['\\u0301', '\\"', 'é', ' '], text => jsonLogin(`{"password":"b","username":"${text}"}`)],
  ['a JSON number', [pageForm], ['1', '0'], text => jsonLogin(`{"a":1${text}}`)],
  ['the blanks of JSON', [pageForm], ' ', text => jsonLogin(`{${text}"a":""}`)],
  [
    'new_password',
    [4000, pageForm],
    marks,
    (text, signedIn) => changePassword(`current_password=a&new_password=b${text}`, signedIn),
  ],
  [
    // In NFC and as it is: two forms to try, the short one as well.
    'current_password',
    [4000, pageForm],
    marks,
    (text, signedIn) => changePassword(`new_password=seven+lamps&current_password=a\u0301${text}`, signedIn),
  ],
  [
    'new_password_repeat',
    [pageForm],
    marks,
    (text, { cookie }) =>
      post('/profile/password', `current_password=a&new_password=b&new_password_repeat=${text}`, { ...html, cookie }),
  ],
  [
    'session',
    [pageForm],
    ['a', 'é'],
    (text, { cookie }) => post('/profile/sign-out', `session=${text}`, { ...html, cookie }),
  ],
]

/** A gzip bomb is short on the wire, and is compared with another compressed body. */
const bomb = (bytes: number) => post('/token', gzipSync(Buffer.alloc(bytes, 'a')), { 'content-encoding': 'gzip' })

async function startMeasured(t: ExecutionContext, kind: 'throttled' | 'not throttled') {
  const child = fork(join(root, 'test/_cost_server.ts'), [kind], { execArgv: [], cwd: root })
  t.teardown(() => child.kill('SIGKILL'))
  const [{ url: address, ...signedIn }] = (await once(child, 'message')) as [CostServer]
  const { hostname, port } = new URL(address)
  const agent = new Agent({ keepAlive: true, maxSockets: 12 })
  t.teardown(() => agent.destroy())

  async function spent(): Promise<number> {
    child.send('how much?')
    const [microseconds] = (await once(child, 'message')) as [number]
    return microseconds
  }
  const send = ({ body, headers, ...rest }: Sent) =>
    new Promise<number>((resolve, reject) => {
      const method = body === undefined ? 'GET' : 'POST'
      const length = body !== undefined && { 'content-length': Buffer.byteLength(body) }
      const options = { agent, hostname, port, method, ...rest, headers: { ...length, ...headers } }
      httpRequest(options, answer => answer.resume().on('close', () => resolve(answer.statusCode!)))
        .on('error', reject)
        .end(body)
    })
  /** @returns microseconds for each of some equal requests */
  async function measure(sent: Sent, times: number): Promise<number> {
    const before = await spent()
    // At once: what is throttled is held back for a while.
    await Promise.all(Array.from({ length: times }, () => send(sent)))
    return ((await spent()) - before) / times
  }
  return { signedIn, measure, send }
}

type Measured = Awaited<ReturnType<typeof startMeasured>>

/** @returns how many times a short request a long one costs; more rounds the more it seems to be too much */
async function compare({ measure }: Measured, short: Sent, long: Sent): Promise<number> {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let round = 0; round < 8; round++) {
    least = Math.min(least, await measure(short, 12))
    // What is far too much is not sent often.
    most = Math.min(most, await measure(long, round === 0 || most > least * 50 ? 2 : 12))
    if (round > 0 && most / least < mostTimes * 0.8) break
    // Far too much needs no second opinion.
    if (round > 1 && most / least > mostTimes * 10) break
  }
  return most / least
}

/** A unit again and again, up to so many bytes. */
const fill = (unit: string, bytes: number) => {
  const whole = unit.repeat(Math.max(1, Math.floor(bytes / Buffer.byteLength(unit))))
  // Lists of names are one long unit.
  return Buffer.byteLength(whole) > bytes ? whole.slice(0, bytes) : whole
}

for (const kind of ['throttled', 'not throttled'] as const) {
  test.serial(
    `promise 8: whatever is as long as it may be costs at most five times what is short, ${kind} (CWE-407)`,
    async t => {
      t.timeout(300_000)
      const server = await startMeasured(t, kind)
      const tooDear: string[] = []
      for (const [what, limits, units, request] of rows) {
        const { path, body } = request('', server.signedIn)
        // Nothing else is throttled.
        if (kind === 'throttled' && (body === undefined || !['/token', '/login'].includes(path))) continue
        const times = []
        for (const limit of limits) {
          for (const unit of [units].flat()) {
            const text = (bytes: number) => request(fill(unit, bytes), server.signedIn)
            times.push(await compare(server, request('', server.signedIn), text(limit)))
            if (times.at(-1)! > mostTimes)
              tooDear.push(`${what}, ${limit} bytes of ${unit.slice(0, 20)}: ${times.at(-1)!.toFixed(1)}`)
          }
        }
        t.log(`${what}: ${Math.max(...times).toFixed(1)}`)
      }
      const times = await compare(server, bomb(1), bomb(16_000_000))
      if (times > mostTimes) tooDear.push(`a gzip bomb: ${times.toFixed(1)}`)
      t.deepEqual(tooDear, [])
    },
  )
}

/** What reads a stranger's text by itself. Each takes any length: what is before them cuts it, and may be changed. */
const readers: Readonly<Record<string, (text: string) => unknown>> = {
  toNfc,
  usernameKey,
  usernameFold,
  readLabel: text => readLabel(text, 64),
  readUsername,
  passwordProblem: text =>
    passwordProblem(
      { minSolePassword: 15, requireFactor: 'off', serviceNames: ['auth.example.com'] },
      { isBreached: async () => false },
      text,
      { username: 'alice', email: 'alice@example.com', factors: [] },
    ),
  parseForm,
  readQuery: querystring => readQuery({ querystring } as Context),
  pickLanguage,
  nameUserAgent: text => nameUserAgent(`Mozilla/5.0 (${text}`),
  narrowScope: text => narrowScope(text, 'read write'),
  parseScope,
  narrowAudience: text => narrowAudience([text], ['https://a.example']),
  claimedClientId,
  parseRefreshToken: text => parseRefreshToken(`lkr_${text}`, createTestSecrets()),
  networksOf,
}

const nasty = [
  'a',
  ' ',
  'a ',
  'a,',
  'a&%.&',
  '%41',
  '&',
  ';',
  '=',
  '.',
  'a.',
  ':',
  '1.',
  ':1',
  '-a',
  'Version/1 ',
  ...marks,
]

for (const [name, read] of Object.entries(readers)) {
  test.serial(`eight times as long takes about eight times as long, not sixty-four: ${name} (CWE-407)`, t => {
    for (const unit of nasty) {
      // Far beyond every limit, so that a square shows beside what any call costs.
      const [short, long] = [1, 8].map(times => fill(unit, times * 8000))
      let [least, most] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
      for (let round = 0; round < 10; round++) {
        least = Math.min(least, timeOf(read, short!))
        most = Math.min(most, timeOf(read, long!))
        if (round > 0 && most < 16 * least) break
      }
      t.true(most < 24 * Math.max(least, 0.02), `${JSON.stringify(unit)}: ${least} and ${most} ms`)
    }
  })
}

function timeOf(read: (text: string) => unknown, text: string): number {
  const began = performance.now()
  try {
    read(text)
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
  }
  return performance.now() - began
}

test('docs/threat-model.md has a row for each of them', t => {
  const text = readFileSync(join(root, 'docs/threat-model.md'), 'utf8')
  const part = /^## What a request may cost$(.*?)^## /ms.exec(text)![1]!
  const listed = [...part.matchAll(/^\| (?!input|-)(.*?) \|/gm)].flatMap(([, names]) => names!.split(' · '))
  t.deepEqual(listed.sort(), [...rows.map(([what]) => what), 'a gzip bomb'].sort())
})
