/** Guessing is hopeless and lockout is not a weapon: throttling over HTTP, with the clock in hand. */
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { readConfig } from '../../src/config.ts'
import { OAuthError } from '../../src/error.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { throttleSettings } from '../../src/throttle/settings.ts'
import { createThrottle } from '../../src/throttle/throttle.ts'
import { createPasswords, type Passwords } from '../../src/users/password.ts'
import { refuseSignIn } from '../../src/users/user.ts'
import { createDatabase } from '../_databases.ts'
import {
  type Answer,
  cheapHashing,
  createClock,
  createTestRandom,
  createTestSecrets,
  password,
  refusal,
  refused,
  type ServerOptions,
  startServer,
} from '../_server.ts'
import { openTestStorage, storages } from '../_storages.ts'

const home = '203.0.113.7'
const secret = 'a client secret of somebody'

/** Alice and Bob behind a trusted proxy that says where each request comes from. */
async function start(t: ExecutionContext, options: ServerOptions = {}) {
  const passwords = options.passwords ?? (await createPasswords(cheapHashing, createTestRandom(t.title)))
  // Refusals come at once, but where a test gives the check beside the line the time that a busy machine needs.
  const patience = { milliseconds: 1 }
  const server = await startServer(t, {
    http: { trustProxy: readConfig({ LATCHKEY_TRUST_PROXY: '127.0.0.1' }).trustProxy },
    ...options,
    passwords: { ...passwords, patience: () => patience.milliseconds },
  })
  await server.addClient()
  await server.addClient({ id: 'web', secret, isPublic: false })
  const aliceId = await server.addUser()
  await server.addUser({ username: 'bob' })
  const from = (ip: string) => ({ 'x-forwarded-for': ip })
  const signIn = (ip: string, username = 'alice', typed = password) =>
    server.token({ grant_type: 'password', client_id: 'app', username, password: typed }, from(ip))
  let guesses = 0
  /** A wrong password that nobody tried before. */
  const guess = (ip: string, username = 'alice') => signIn(ip, username, `wrong ${guesses++}`)
  return {
    ...server,
    aliceId,
    from,
    signInFrom: signIn,
    guess,
    /** Signs in where everybody has to wait, and gives it all the time that it needs. */
    async signInUnseen(ip: string, username = 'alice'): Promise<Answer> {
      patience.milliseconds = 20_000
      const answer = signIn(ip, username)
      return answer.finally(() => (patience.milliseconds = 1))
    },
    /** A wrong password where everybody has to wait, for long enough that it is heard. */
    async guessUnseen(ip: string, username = 'alice'): Promise<Answer> {
      patience.milliseconds = 500
      return guess(ip, username).finally(() => (patience.milliseconds = 1))
    },
    /** Guesses until one is throttled. @returns how many were judged, and the throttled answer */
    async guessUntilThrottled(ip: string, username = 'alice'): Promise<{ judged: number; answer: Answer }> {
      for (let judged = 0; judged < 2000; judged++) {
        const answer = await guess(ip, username)
        if (answer.status === 429) return { judged, answer }
      }
      throw new Error('never throttled')
    },
    /** Whoever obeys Retry-After, for a time. @returns how many guesses were judged */
    async guessFor(seconds: number, ip: (attempt: number) => string, username = 'alice') {
      let judged = 0
      const end = server.clock.now() + seconds
      for (let i = 0; server.clock.now() < end; i++) {
        const answer = await guess(ip(i), username)
        if (answer.status === 429) server.clock.advance(retryAfter(answer))
        else judged++
      }
      return judged
    },
  }
}

type Started = Awaited<ReturnType<typeof start>>

const retryAfter = (answer: Answer) => Number(answer.headers.get('retry-after'))

/** Takes an account's allowance in unknown networks to its end, with the clock as far on as that needs. */
async function exhaustElsewhere(server: Started, username = 'alice') {
  let networks = 0
  let wait = 0
  while (wait < 120) {
    const answer = await server.guess(`198.${networks >> 8}.${networks++ & 255}.1`, username)
    if (answer.status !== 429) continue
    wait = retryAfter(answer)
    if (wait < 120) server.clock.advance(wait)
  }
}

test('the eleventh wrong password is throttled: 429, Retry-After, the OAuth error body, no-store (RFC 6749 §5.2, RFC 6585 §4)', async t => {
  const { guessUntilThrottled, signInFrom } = await start(t)

  const { judged, answer } = await guessUntilThrottled(home)

  t.is(judged, 11)
  t.deepEqual(refusal(answer), refused(429, 'temporarily_unavailable'))
  t.is(retryAfter(answer), 1)
  t.is((await signInFrom(home)).status, 429)
  t.is((await signInFrom(home, 'bob')).status, 200)
})

test('ten wrong passwords cost nobody anything; a success clears them for who knows the password, and for nobody else to see (RFC 6749 §4.3.2)', async t => {
  const { guess, guessUnseen, signInFrom, signInUnseen } = await start(t)
  for (let i = 0; i < 10; i++) t.is((await guess(home)).status, 400)
  t.is((await signInFrom(home)).status, 200)
  t.is((await guess(home)).status, 400)
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 9; i++) t.is((await guessUnseen(home)).status, 429)
    t.is((await signInUnseen(home)).status, 200)
  }
  for (let i = 0; i < 11; i++) t.is((await guessUnseen(home)).status, 429)
  t.is((await signInFrom(home)).status, 429)
})

test('delays grow to two minutes and no further; after the wait the right password is taken at once (OWASP ASVS 5 §6.3.1)', async t => {
  const { guess, clock, signInFrom } = await start(t)
  const waits = new Set<number>()
  for (let i = 0; i < 40; i++) {
    const answer = await guess(home)
    if (answer.status === 429) {
      waits.add(retryAfter(answer))
      clock.advance(retryAfter(answer))
    }
  }
  t.deepEqual([...waits], [1, 2, 4, 8, 16, 32, 64, 120])
  while ((await guess(home)).status !== 429);
  clock.advance(119)
  t.is((await signInFrom(home)).status, 429)
  clock.advance(1)
  t.is((await signInFrom(home)).status, 200)
})

test('a day of guessing from one network is fewer than 750 guesses (NIST SP 800-63B §3.2.2)', async t => {
  const { guessFor } = await start(t, { throttle: { password: 1_000_000 } })
  const judged = await guessFor(86_400, () => home)
  t.true(judged > 100 && judged < 750, `${judged}`)
})

test('a throttled attempt starts no hash and looks for no user, known or not; the answers are the same (promise 7)', async t => {
  const cheap = await createPasswords(cheapHashing, createTestRandom(t.title))
  let hashes = 0
  const passwords: Passwords = {
    ...cheap,
    verify: (...given) => {
      hashes++
      return cheap.verify(...given)
    },
  }
  const { guessUntilThrottled } = await start(t, { passwords })

  const known = await guessUntilThrottled(home, 'alice')
  const unknown = await guessUntilThrottled(home, 'nobody')

  t.is(hashes, known.judged + unknown.judged)
  t.is(known.judged, unknown.judged)
  const shown = ({ answer: { status, body, headers } }: typeof known) => ({
    status,
    body,
    wait: headers.get('retry-after'),
  })
  t.deepEqual(shown(known), shown(unknown))
})

test('spellings of a username are one account (usernames are compared in NFC and without case)', async t => {
  const { guess, signInFrom } = await start(t)
  for (let i = 0; i < 11; i++) t.is((await guess(home, ['alice', 'ALICE', 'Alice'][i % 3])).status, 400)
  t.is((await signInFrom(home, 'aLiCe')).status, 429)
  t.is((await signInFrom('203.0.113.8', 'aLiCe')).status, 200)
})

test('nor do characters that nobody sees, full-width letters and outer white space make another account to guess at', async t => {
  const { guess } = await start(t)
  const spellings = ['alice', 'alice\u3164', 'ａｌｉｃｅ', ' alice', 'alice\u3000', 'al\u00adice', '\u200balice']
  for (let i = 0; i < 11; i++) t.is((await guess(home, spellings[i % spellings.length])).status, 400)
  for (const spelling of spellings) t.is((await guess(home, spelling)).status, 429, JSON.stringify(spelling))
})

test('guesses at once are no more than one after the other: each is judged by those that failed before (CWE-362)', async t => {
  const cheap = await createPasswords(cheapHashing, createTestRandom(t.title))
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  let held = 0
  let holds = false
  const verify: Passwords['verify'] = async (typed, ...given) => {
    held++
    if (holds) await released
    // The right one is looked at last.
    if (typed === password) await new Promise(resolve => setTimeout(resolve, 500))
    return cheap.verify(typed, ...given)
  }
  const { guess, signInFrom, clock } = await start(t, { passwords: { ...cheap, verify } })
  await guess(home)
  holds = true
  held = 0
  const guesses = Array.from({ length: 60 }, (_, i) => (i === 30 ? signInFrom(home) : guess(home)))
  while (held < guesses.length) await new Promise(setImmediate)
  release()

  const statuses = (await Promise.all(guesses)).map(({ status }) => status)
  t.is(statuses.filter(status => status === 400).length, 10)
  t.is(statuses.filter(status => status === 429).length, 50)
  clock.advance(120)
  t.is((await signInFrom(home)).status, 200)
})

test('a sign-in under way is seen by nobody: guesses beside it are answered as without it (promise 7)', async t => {
  const cheap = await createPasswords(cheapHashing, createTestRandom(t.title))
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  let holding = 0
  const verify: Passwords['verify'] = async (typed, ...given) => {
    if (typed === password) {
      holding++
      await released
    }
    return cheap.verify(typed, ...given)
  }
  const { guess, signInFrom } = await start(t, { passwords: { ...cheap, verify } })
  for (let i = 0; i < 9; i++) t.is((await guess(home)).status, 400)
  const signIns = Array.from({ length: 5 }, () => signInFrom(home))
  while (holding < signIns.length) await new Promise(setImmediate)

  t.is((await guess(home)).status, 400)
  release()
  for (const { status } of await Promise.all(signIns)) t.is(status, 200)
  t.is((await guess(home)).status, 400)
  t.is((await guess(home)).status, 429)
})

test('fifty sign-ins of one account at once with the right password are all let in', async t => {
  const { signInFrom } = await start(t)
  const answers = await Promise.all(Array.from({ length: 50 }, () => signInFrom(home)))
  t.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
})

test('a full queue of hashes is no failed attempt: a 503 is not a wrong password', async t => {
  const cheap = await createPasswords(cheapHashing, createTestRandom(t.title))
  let isFull = true
  const verify: Passwords['verify'] = async (...given) => {
    if (isFull) throw new OAuthError('temporarily_unavailable', 'too many sign-ins at the moment', { retryAfter: 2 })
    return cheap.verify(...given)
  }
  const { signInFrom, guess } = await start(t, { passwords: { ...cheap, verify } })
  for (let i = 0; i < 60; i++) t.is((await guess(home)).status, 503)
  isFull = false
  for (let i = 0; i < 10; i++) t.is((await guess(home)).status, 400)
  t.is((await signInFrom(home)).status, 200)
})

test('an attacker elsewhere cannot lock the owner out of a network from which the owner signed in before (OWASP ASVS 5 §6.1.1)', async t => {
  const server = await start(t)
  t.is((await server.signInFrom(home)).status, 200)
  server.clock.advance(30 * 86_400)

  await exhaustElsewhere(server)

  t.is((await server.guess('192.0.2.99')).status, 429)
  for (let i = 0; i < 10; i++) t.is((await server.guessUnseen(home)).status, 429)
  t.is((await server.signInUnseen(home)).status, 200)
})

test('the right password that is heard too late is refused like every other, and does not count', async t => {
  const cheap = await createPasswords(cheapHashing, createTestRandom(t.title))
  let isSlow = true
  const verifyAside: Passwords['verifyAside'] = async (...given) => {
    while (isSlow && !given[2]()) await new Promise(setImmediate)
    return cheap.verifyAside(...given)
  }
  const server = await start(t, { passwords: { ...cheap, verifyAside } })
  t.is((await server.signInFrom(home)).status, 200)
  await exhaustElsewhere(server)
  const unheard = await server.guess('192.0.2.99')

  for (let i = 0; i < 20; i++) {
    const late = await server.signInFrom(home)
    t.deepEqual([late.status, late.body, retryAfter(late)], [429, unheard.body, retryAfter(unheard)])
  }
  isSlow = false
  t.is((await server.signInUnseen(home)).status, 200)
})

test('guesses from many networks share one allowance: the account is throttled everywhere, and no other account (RFC 6749 §10.10)', async t => {
  const server = await start(t)
  const statuses = []
  for (let i = 0; i < 40; i++) statuses.push((await server.guess(`198.51.${i}.1`)).status)
  t.is(statuses.filter(status => status === 400).length, 31)
  t.is((await server.guess('192.0.2.99', 'bob')).status, 400)
})

test('nobody is locked out everywhere for more than two minutes, even while the attack goes on from ever new networks', async t => {
  const server = await start(t)
  await exhaustElsewhere(server)

  const first = await server.signInFrom(home)
  t.is(first.status, 429)
  t.true(retryAfter(first) <= 120)
  // The attacker asks again at every moment, from new networks and from old ones.
  for (let second = 0; second < retryAfter(first); second += 2) {
    server.clock.advance(2)
    for (let i = 0; i < 3; i++) await server.guess(`100.64.${second}.${i}`)
    await server.guess('198.0.0.1')
  }
  t.is((await server.signInFrom(home)).status, 200)
  // From now on the network is known.
  t.is((await server.signInFrom(home)).status, 200)
})

test('turns are few: a neighbourhood gets three a day, so that many addresses of one holder are not many guesses', async t => {
  const server = await start(t)
  await exhaustElsewhere(server)
  const judged = await server.guessFor(6 * 3600, i => `192.0.2.${i % 256}`)
  // Three turns, and one guess every two minutes that all networks share.
  t.true(judged <= 3 + (6 * 3600) / 120 + 1, `${judged}`)
})

test('a network that tries many users is throttled, unknown users count too; who signed in there before and types the right password does not wait (spraying, CWE-307)', async t => {
  const server = await start(t)
  t.is((await server.signInFrom(home)).status, 200)
  const statuses = []
  for (let i = 0; i < 120; i++) statuses.push((await server.guess(home, `user ${i}`)).status)

  t.is(statuses.indexOf(429), 101)
  t.is((await server.signInFrom(home, 'bob')).status, 429)
  t.is((await server.guessUnseen(home)).status, 429)
  t.is((await server.signInUnseen(home)).status, 200)
  t.is((await server.signInFrom('203.0.113.8', 'bob')).status, 200)
})

test('one password that is tried on many users from many networks is throttled, another is not (spraying, CWE-307)', async t => {
  const server = await start(t)
  const spray = (i: number) => server.signInFrom(`198.51.${i}.1`, `user ${i}`, 'Winter2026!')
  const statuses = []
  for (let i = 0; i < 60; i++) statuses.push((await spray(i)).status)

  t.is(statuses.indexOf(429), 51)
  t.is((await server.guess('192.0.2.99', 'user 61')).status, 400)
  t.is((await server.signInFrom('192.0.2.99')).status, 200)
})

test('a class behind one address signs in on its first day: 400 users, every fifth mistypes (NAT)', async t => {
  const server = await start(t)
  for (let i = 0; i < 400; i++) {
    if (i % 5 === 0) {
      await server.addUser({ username: `user ${i}` })
      t.is((await server.guess(home, `user ${i}`)).status, 400)
      t.is((await server.signInFrom(home, `user ${i}`)).status, 200)
    }
    server.clock.advance(4)
  }
})

test('IPv6 is counted by /64: another address of the same one waits, another /64 does not (RFC 4291 §2.5.4)', async t => {
  const { guess, signInFrom } = await start(t)
  for (let i = 1; i <= 11; i++) t.is((await guess(`2001:db8:1:2::${i}`)).status, 400)
  t.is((await signInFrom('2001:db8:1:2:ffff:ffff:ffff:ffff')).status, 429)
  t.is((await signInFrom('2001:db8:1:3::1')).status, 200)
})

test('the many /64 of one /48 share an allowance (RFC 6177 §2: a site has that many)', async t => {
  const { guess, signInFrom } = await start(t, { throttle: { site: 20 } })
  for (let i = 0; i < 21; i++) t.is((await guess(`2001:db8:1:${i}::1`, `user ${i}`)).status, 400)
  t.is((await signInFrom('2001:db8:1:ffff::1')).status, 429)
  t.is((await signInFrom('2001:db8:2:ffff::1')).status, 200)
})

test('a /48 has an allowance of its own for client secrets too, larger than that of one network', async t => {
  const server = await start(t, { throttle: { network: 5, site: 20 } })
  const ask = async (ip: string, i: number) => {
    const form = { token: 'x', client_id: `client ${i}`, client_secret: `guess ${i}` }
    return (await server.post('/introspect', form, server.from(ip))).status
  }
  for (let i = 0; i < 21; i++) t.is(await ask(`2001:db8:1:${i}::1`, i), 400)
  t.is(await ask('2001:db8:1:ffff::1', 21), 429)
  t.is(await ask('2001:db8:2:ffff::1', 22), 400)
  for (let i = 0; i < 5; i++) t.is(await ask('2001:db8:2:ffff::1', 23 + i), 400)
  t.is(await ask('2001:db8:2:ffff::1', 28), 429)
})

test('a forwarding header of anybody else makes no new network: without LATCHKEY_TRUST_PROXY all are the peer', async t => {
  const { guess, signInFrom } = await start(t, { http: {} })
  for (let i = 0; i < 11; i++) t.is((await guess(`198.51.100.${i}`)).status, 400)
  t.is((await signInFrom('203.0.113.8')).status, 429)
  const trusting = await start(t)
  for (let i = 0; i < 11; i++) t.is((await trusting.guess('198.51.100.1')).status, 400)
  t.is((await trusting.signInFrom('203.0.113.8')).status, 200)
})

for (const how of ['in form', 'as Basic'] as const) {
  for (const path of ['/token', '/revoke', '/introspect']) {
    test(`a client secret ${how} cannot be guessed at ${path}; the real client elsewhere notices nothing (RFC 6749 §2.3.1)`, async t => {
      const server = await start(t)
      const { access_token } = await server.signIn()
      const ask = (ip: string, clientSecret: string) => {
        const form = { grant_type: 'password', username: 'alice', password, token: access_token }
        const basic = Buffer.from(`web:${encodeURIComponent(clientSecret)}`).toString('base64')
        return how === 'in form'
          ? server.post(path, { ...form, client_id: 'web', client_secret: clientSecret }, server.from(ip))
          : server.post(path, form, { ...server.from(ip), authorization: `Basic ${basic}` })
      }
      const wrong = how === 'in form' ? 400 : 401
      for (let i = 0; i < 11; i++) t.is((await ask('198.51.100.1', `guess ${i}`)).status, wrong)

      const answer = await ask('198.51.100.1', secret)
      t.deepEqual(refusal(answer), refused(429, 'temporarily_unavailable'))
      t.is(retryAfter(answer), 1)
      t.is((await ask(home, secret)).status, 200)
      server.clock.advance(120)
      t.is((await ask('198.51.100.1', secret)).status, 200)
    })
  }
}

test('an instance with an old client secret does not shut out the others beside it: the same again is no other guess', async t => {
  const server = await start(t)
  const ask = (clientSecret: string) =>
    server.post('/introspect', { token: 'x', client_id: 'web', client_secret: clientSecret }, server.from(home))
  for (let i = 0; i < 60; i++) t.is((await ask('the old client secret')).status, 400)
  t.is((await ask(secret)).status, 200)
  for (let i = 0; i < 10; i++) t.is((await ask(`guess ${i}`)).status, 400)
  t.is((await ask('guess 10')).status, 429)
  t.is((await ask(secret)).status, 429)
})

test('client ids that do not exist are counted like those that do, and a network that tries many waits (RFC 6749 §2.3.1)', async t => {
  const server = await start(t)
  const ask = (ip: string, id: string, clientSecret: string) =>
    server.post('/introspect', { token: 'x', client_id: id, client_secret: clientSecret }, server.from(ip))
  for (let i = 0; i < 11; i++) t.is((await ask('198.51.100.1', 'nobody', `guess ${i}`)).status, 400)
  t.is((await ask('198.51.100.1', 'nobody', 'guess')).status, 429)
  t.is((await ask(home, 'web', secret)).status, 200)
  for (let i = 0; i < 101; i++) await ask(home, `client ${i}`, 'guess')
  t.is((await ask(home, 'another', 'guess')).status, 429)
  // Known here, so it keeps its own allowance, which nobody can see.
  t.is((await ask(home, 'web', 'guess')).status, 429)
  t.is((await ask(home, 'web', secret)).status, 200)
  // What clients do is no reason for people to wait.
  t.is((await server.signInFrom(home)).status, 200)
})

test('client assertions that cannot be believed make their network wait, and never the client (RFC 7523 §3)', async t => {
  const server = await start(t, { throttle: { network: 5 } })
  const claims = Buffer.from(JSON.stringify({ sub: 'web', iss: 'web' })).toString('base64url')
  const ask = (ip: string) =>
    server.post(
      '/introspect',
      {
        token: 'x',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: `e30.${claims}.x`,
      },
      server.from(ip),
    )
  for (let i = 0; i < 6; i++) t.is((await ask('198.51.100.1')).status, 400)
  t.is((await ask('198.51.100.1')).status, 429)
  t.is((await ask(home)).status, 400)
  const withSecret = { token: 'x', client_id: 'web', client_secret: secret }
  t.is((await server.post('/introspect', withSecret, server.from(home))).status, 200)
})

test('the current password cannot be guessed with a stolen access token; another session of the user notices nothing', async t => {
  const server = await start(t)
  const stolen = await server.signIn()
  const own = await server.signIn()
  const change = (accessToken: string, currentPassword: string) =>
    server.request('/users/me/password', {
      method: 'PUT',
      body: new URLSearchParams({ current_password: currentPassword, new_password: 'tr0ub4dor & three' }),
      headers: server.bearer(accessToken),
    })
  for (let i = 0; i < 11; i++) t.is((await change(stolen.access_token, `wrong ${i}`)).status, 400)

  const answer = await change(stolen.access_token, password)
  t.deepEqual(refusal(answer), refused(429, 'temporarily_unavailable'))
  t.true(retryAfter(answer) >= 1)
  t.is((await server.signInFrom(home)).status, 200)
  t.is((await change(own.access_token, password)).status, 200)
})

test('the sign-in page and the page to change a password say when to try again (RFC 9110 §10.2.3)', async t => {
  const server = await start(t)
  const html = { accept: 'text/html' }
  const login = (typed: string, headers = {}) =>
    server.post('/login', { username: 'alice', password: typed }, { ...server.from(home), ...headers })
  const signedIn = await login(password)
  const cookie = signedIn.headers.get('set-cookie')!.split(';')[0]!
  const change = (current: string) =>
    server.post(
      '/profile/password',
      { current_password: current, new_password: 'tr0ub4dor & three', new_password_repeat: 'tr0ub4dor & three' },
      { ...html, cookie },
    )
  for (let i = 0; i < 14; i++) {
    await login(`wrong ${i}`)
    await change(`wrong ${i}`)
    server.clock.advance(1)
  }
  for (const answer of [await login(password, html), await change(password)]) {
    t.is(answer.status, 429)
    t.regex(answer.body, new RegExp(`again in ${retryAfter(answer)} second`))
  }
  t.deepEqual(refusal(await login(password)), refused(429, 'temporarily_unavailable'))
  server.clock.advance(120)
  t.is((await login(password)).status, 200)
  t.is((await change(password)).status, 303)
})

test('a restart forgets neither failures nor known networks', async t => {
  const clock = createClock()
  const { open } = await createDatabase(t)
  const first = await start(t, { clock, storage: await open() })
  t.is((await first.signInFrom(home)).status, 200)
  await exhaustElsewhere(first)
  const { judged } = await first.guessUntilThrottled('192.0.2.1', 'bob')
  t.is(judged, 11)
  await first.deps.throttle.flush()
  await first.deps.storage.close()

  const storage = await open()
  const options = { http: { trustProxy: readConfig({ LATCHKEY_TRUST_PROXY: '127.0.0.1' }).trustProxy } }
  const passwords = await createPasswords(cheapHashing, createTestRandom('second'))
  const patient = { ...passwords, patience: () => 500 }
  const second = await startServer(
    { title: `${t.title}, after it`, teardown: t.teardown },
    { ...options, clock, storage, signingAlg: 'ES256', passwords: patient },
  )
  const signIn = (ip: string, username: string) =>
    second.token({ grant_type: 'password', client_id: 'app', username, password }, { 'x-forwarded-for': ip })

  t.is((await signIn('192.0.2.1', 'bob')).status, 429)
  t.is((await signIn('192.0.2.99', 'alice')).status, 429)
  t.is((await signIn(home, 'alice')).status, 200)
  t.is((await signIn('192.0.2.2', 'bob')).status, 200)
})

/** A database that one process has for itself, on whichever the others run: it counts in memory, and writes that in batches. */
const openOwnStorage = (t: ExecutionContext) => storages.sqlite!(t)

/** Counts what is written. */
function counting(storage: Storage): { storage: Storage; writes: () => number; rows: () => number } {
  let writes = 0
  let rows = 0
  const saveCounters: Storage['saveCounters'] = (counted, gone, known) => {
    writes++
    rows += counted.length + gone.length + known.length
    return storage.saveCounters(counted, gone, known)
  }
  return { storage: { ...storage, saveCounters }, writes: () => writes, rows: () => rows }
}

test('a flood of throttled attempts writes nothing, and one batch holds all that failed in a second', async t => {
  const { storage, writes, rows } = counting(await openOwnStorage(t))
  const { guess, deps } = await start(t, { storage })
  for (let i = 0; i < 11; i++) await guess(home)
  await deps.throttle.flush()
  const [writesBefore, rowsBefore] = [writes(), rows()]
  t.is(writesBefore, 1)
  t.true(rowsBefore <= 4, `${rowsBefore}`)
  for (let i = 0; i < 300; i++) t.is((await guess(home)).status, 429)
  await deps.throttle.flush()
  t.deepEqual([writes(), rows()], [writesBefore, rowsBefore])
})

test('state is bounded: never more counters than set, in memory and in the database, and all of it is forgotten in time', async t => {
  const storage = await openOwnStorage(t)
  const server = await start(t, { storage, throttle: { entries: 1000 } })
  const stored = async () => (await storage.listCounters(0, 1_000_000)).length
  const ask = (i: number) =>
    server.post(
      '/introspect',
      { token: 'x', client_id: `client ${i}`, client_secret: 'guess'.repeat(1000) },
      server.from(`198.${i >> 8}.${i & 255}.1`),
    )
  for (let i = 0; i < 11; i++) await server.guess(home)
  for (let i = 0; i < 2000; i++) {
    await ask(i)
    if (i % 100 === 0) await server.deps.throttle.flush()
  }
  await server.deps.throttle.flush()

  t.true(server.deps.throttle.size() > 500 && server.deps.throttle.size() <= 1000)
  t.true((await stored()) > 500 && (await stored()) <= 1000)
  for (const { id } of await storage.listCounters(0, 1_000_000)) t.is(id.length, 22)
  // What would be forgotten last is still there: nobody washes an account's failures away.
  t.is((await server.signInFrom(home)).status, 429)

  server.clock.advance(86_400)
  await server.deps.throttle.flush()
  t.is(server.deps.throttle.size(), 0)
  t.is(await stored(), 0)
})

/** Two servers on one database, that know nothing of each other, and what they count of one session. */
async function twoThrottles(t: ExecutionContext) {
  const clock = createClock()
  const storage = await openOwnStorage(t)
  const settings = throttleSettings({ enabled: true, account: 10, network: 30, maxDelay: 120 })
  const deps = { storage, secrets: createTestSecrets(), now: clock.now, randomBytes: createTestRandom(t.title) }
  const open = async () => {
    const throttle = await createThrottle(settings, deps)
    const fail = async (times: number) => {
      for (let i = 0; i < times; i++)
        await t.throwsAsync(throttle.currentPassword('a session', async () => refuseSignIn('wrong password')))
    }
    return { ...throttle, fail, succeed: () => throttle.currentPassword('a session', async () => 'right') }
  }
  const stored = async () => (await storage.listCounters(clock.now(), 10)).map(({ emptyAt }) => emptyAt - clock.now())
  return { one: await open(), other: await open(), open, stored, clock }
}

test('failures that two processes count on one database are added up, whichever writes first', async t => {
  for (const order of ['one', 'other']) {
    const { one, other, open, stored } = await twoThrottles(t)
    await one.fail(11)
    await other.fail(1)
    for (const throttle of order === 'one' ? [one, other] : [other, one]) await throttle.flush()
    t.deepEqual(await stored(), [12 * 600])
    for (const throttle of [one, other]) await throttle.flush()
    t.deepEqual(await stored(), [12 * 600])
    // Who starts now knows of all of them.
    const third = await open()
    const { code } = await t.throwsAsync<OAuthError>(third.succeed(), { instanceOf: OAuthError })
    t.is(code, 'too_many_attempts')
  }
})

test('a success on one process erases no failures that another has counted', async t => {
  const { one, other, stored } = await twoThrottles(t)
  await one.fail(3)
  await one.flush()
  // Before and after it has written what it has counted itself.
  await other.fail(2)
  t.is(await other.succeed(), 'right')
  await other.flush()
  t.deepEqual(await stored(), [3 * 600])
  await other.fail(1)
  await other.flush()
  t.is(await other.succeed(), 'right')
  await other.flush()
  t.deepEqual(await stored(), [4 * 600])
})

test('a success erases what its own process has counted, written or not', async t => {
  const { one, stored } = await twoThrottles(t)
  await one.fail(3)
  await one.flush()
  await one.fail(2)
  t.is(await one.succeed(), 'right')
  await one.flush()
  t.deepEqual(await stored(), [])
})

test('a batch that could not be written is written with the next one', async t => {
  const real = await openOwnStorage(t)
  let isFull = true
  const saveCounters: Storage['saveCounters'] = async (...batch) => {
    if (isFull) throw new Error('disk full')
    return real.saveCounters(...batch)
  }
  const { guess, deps, clock } = await start(t, { storage: { ...real, saveCounters } })
  await guess(home)
  await t.throwsAsync(deps.throttle.flush())
  t.is((await real.listCounters(0, 10)).length, 0)
  await guess(home)
  isFull = false
  await deps.throttle.flush()
  const stored = await real.listCounters(0, 10)
  t.true(stored.length > 0)
  // Both of them: of the account here and anywhere 600 s each, of the network 60.
  t.deepEqual(new Set(stored.map(({ emptyAt }) => emptyAt - clock.now())), new Set([1200, 120]))
})

test('no log line and no row has a name or a password that was typed', async t => {
  const lines: string[] = []
  const storage = await openTestStorage(t)
  const { signInFrom, deps } = await start(t, { storage, onLog: line => lines.push(line) })
  for (let i = 0; i < 20; i++) await signInFrom(home, 'my-secret-typed-as-name', `my-guess-${i}`)
  await deps.throttle.flush()

  const text = lines.join('') + JSON.stringify(await storage.listCounters(0, 100))
  t.regex(text, /throttled by account/)
  t.notRegex(text, /my-secret|my-guess/)
})

test('LATCHKEY_THROTTLE=off slows nothing down', async t => {
  const { guess, signInFrom } = await start(t, { throttle: { enabled: false } })
  for (let i = 0; i < 150; i++) t.is((await guess(home)).status, 400)
  t.is((await signInFrom(home)).status, 200)
})

test('whatever strangers do, the owner is let in at home at once and anywhere new after one wait of two minutes at the most', async t => {
  const strangers = fc.array(
    fc.record({
      network: fc.integer({ min: 0, max: 40 }),
      username: fc.constantFrom('alice', 'ALICE', 'bob', 'nobody'),
      attempts: fc.integer({ min: 1, max: 60 }),
      pause: fc.constantFrom(0, 0, 1, 30, 120, 3600),
    }),
    { minLength: 1, maxLength: 25 },
  )
  await fc.assert(
    fc.asyncProperty(strangers, strangers, async (before, meanwhile) => {
      const storage = await openTestStorage(t)
      const clock = createClock()
      const randomBytes = createTestRandom(t.title)
      const deps = { storage, secrets: createTestSecrets(), now: clock.now, randomBytes }
      const throttle = await createThrottle(readConfig({}).throttle, deps)
      const attempt = async (ip: string, username: string, typed: string, isRight: boolean, patience = 0) => {
        try {
          await throttle.signIn({ username, password: typed, patience }, { ip }, async () => {
            if (!isRight) throw new OAuthError('invalid_grant', 'wrong')
          })
          return 0
        } catch (error) {
          if (!(error instanceof OAuthError)) throw error
          if (error.code === 'invalid_grant') return 0
          t.true(error.retryAfter! >= 1 && error.retryAfter! <= 120)
          return error.retryAfter!
        }
      }
      let guesses = 0
      const attack = async (steps: typeof before, seconds: number) => {
        for (const { network, username, attempts, pause } of steps) {
          for (let i = 0; i < attempts; i++) await attempt(`198.51.${network}.1`, username, `wrong ${guesses++}`, false)
          const passed = Math.min(pause, seconds)
          clock.advance(passed)
          seconds -= passed
        }
        clock.advance(Number.isFinite(seconds) ? seconds : 0)
      }
      t.is(await attempt(home, 'alice', password, true), 0)
      await attack(before, Number.POSITIVE_INFINITY)

      t.is(await attempt(home, 'alice', password, true, 1000), 0)
      const wait = await attempt('192.0.2.1', 'alice', password, true)
      await attack(meanwhile, wait)
      t.is(await attempt('192.0.2.1', 'alice', password, true, 1000), 0)
      await storage.close()
    }),
    { numRuns: 60 },
  )
})
