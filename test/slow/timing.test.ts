/**
 * What the time of an answer tells: nothing about users, nothing about secrets. Samples of all kinds interleaved in random
 * order, the slowest cut off, then Welch's t, or pairs of both kinds and the sign test; beyond 4.5 two kinds are told apart
 * (ISO/IEC 17825). Promise 7.
 */
import { createHmac } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import bcrypt from 'bcrypt'
import { auditEvent } from '../../src/audit/audit.ts'
import { formatRefreshToken, parseRefreshToken } from '../../src/sessions/refresh_token.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createPasswords, type Passwords } from '../../src/users/password.ts'
import { openPasswordHash } from '../../src/users/password_formats.ts'
import type { SignInBy } from '../../src/users/user.ts'
import { addTotp } from '../_factors.ts'
import { cheapHashing, createTestRandom, createTestSecrets, startServerWithAlice } from '../_server.ts'
import { address, startSignUp } from '../_sign_up.ts'
import { compare, type Samples, shuffled, toldApart } from '../_timing.ts'

/** Some milliseconds for each hash, so that one that is missing shows. */
const hashing = { ...cheapHashing, memory: 2048 }

/** Times refused sign-ins of each kind of user. */
async function timeRefusals(
  t: ExecutionContext,
  passwords: Passwords,
  rounds: number,
  imported: Record<string, string> = {},
  signInBy: SignInBy = 'username',
) {
  t.timeout(240_000)
  const server = await startServerWithAlice(t, { passwords, throttle: { enabled: false }, oauth: { signInBy } })
  await server.addUser({ username: 'disabled', disabledAt: server.clock.now() })
  const passwordless = { id: `usr_${'A'.repeat(22)}`, username: 'passwordless', credentialVersion: 1, createdAt: 1 }
  await server.deps.storage.createUsers([passwordless], auditEvent('user.created', 1, {}))
  for (const [username, passwordHash] of Object.entries(imported)) await server.addUser({ username, passwordHash })
  await addTotp(server, await server.addUser({ username: 'two factors' }))
  const kinds: Record<string, [username: string, password: string, otp?: string]> = {
    'a wrong password': ['alice', 'wrong'],
    'an unknown user': ['nobody', 'wrong'],
    'a disabled user': ['disabled', 'wrong'],
    'a user without a password': ['passwordless', 'wrong'],
    'a disabled user with the right password': ['disabled', 'correct horse battery staple'],
    'who has a second factor': ['two factors', 'wrong'],
    'a code along with a wrong password': ['two factors', 'wrong', '123456'],
    'a code along with an unknown user': ['nobody', 'wrong', '123456'],
    ...(signInBy === 'both' && {
      'a wrong password by address': ['alice@example.com', 'wrong'],
      'an unknown address': ['nobody@example.com', 'wrong'],
    }),
    ...Object.fromEntries(Object.keys(imported).map(username => [`a user from ${username}`, [username, 'wrong']])),
  }
  const samples: Samples = Object.fromEntries(Object.keys(kinds).map(kind => [kind, []]))
  // The first of each kind warms up, and tells the server how long it takes.
  for (let round = -3; round < rounds; round++) {
    for (const kind of shuffled(Object.keys(kinds))) {
      const [username, password, otp = ''] = kinds[kind]!
      const began = performance.now()
      const { status } = await server.token({ grant_type: 'password', client_id: 'app', username, password, otp })
      const elapsed = performance.now() - began
      t.is(status, 400)
      if (round >= 0) samples[kind]!.push(elapsed)
    }
  }
  return compare(samples)
}

test.serial(
  'promise 7: an unknown user, a wrong password and a disabled user cannot be told apart by time',
  async t => {
    const passwords = await createPasswords(hashing, createTestRandom())
    const told = await timeRefusals(t, passwords, 250)
    t.log(told)
    for (const [kind, value] of Object.entries(told)) t.true(value < toldApart, `${kind}: ${value}`)
  },
)

test.serial('promise 7: nor can who is called by address from who is called by username, or from nobody', async t => {
  const told = await timeRefusals(t, await createPasswords(hashing, createTestRandom()), 200, {}, 'both')
  t.log(told)
  for (const [kind, value] of Object.entries(told)) t.true(value < toldApart, `${kind}: ${value}`)
})

test.serial('promise 7: nor can a user whose hash was imported, cheaper or dearer than ours', async t => {
  const passwords = await createPasswords(hashing, createTestRandom())
  // Computed in a thread of its own, which is there after the first. The fewest rounds that there are: everybody waits for it.
  const loop = `$6$rounds=1000$salt$${'.'.repeat(86)}`
  await openPasswordHash(loop)?.verify('warm')
  const told = await timeRefusals(t, passwords, 50, {
    'cheap bcrypt': await bcrypt.hash('their password', 4),
    'dear bcrypt': await bcrypt.hash('their password', 8),
    'sha512-crypt': loop,
  })
  t.log(told)
  for (const [kind, value] of Object.entries(told)) t.true(value < toldApart, `${kind}: ${value}`)
})

/** Times the first refusal that a server gives to each kind of user after a start; `start` may learn from stored hashes. */
async function timeFirstRefusals(start: (storedHashes: string[]) => Promise<Passwords>) {
  const stored: Record<string, string | undefined> = {
    'an unknown user': undefined,
    'a wrong password': await (await start([])).hash('their password'),
    'cheap bcrypt': await bcrypt.hash('their password', 4),
    'dear bcrypt': await bcrypt.hash('their password', 8),
  }
  const samples: Samples = Object.fromEntries(Object.keys(stored).map(kind => [kind, []]))
  const storedHashes = Object.values(stored).filter(hash => hash !== undefined)
  for (let round = 0; round < 60; round++) {
    for (const kind of shuffled(Object.keys(stored))) {
      const passwords = await start(storedHashes)
      const began = performance.now()
      await passwords.verify('wrong', stored[kind])
      samples[kind]!.push(performance.now() - began)
    }
  }
  return compare(samples)
}

test.serial('promise 7: nor the first time after a start', async t => {
  t.timeout(240_000)
  const told = await timeFirstRefusals(async storedHashes => {
    const passwords = await createPasswords(hashing, createTestRandom())
    await passwords.learn(storedHashes)
    return passwords
  })
  t.log(told)
  for (const [kind, value] of Object.entries(told)) t.true(value < toldApart, `${kind}: ${value}`)
})

test.serial('the test of the first time can fail: a server that has learnt nothing tells a dear hash', async t => {
  t.timeout(240_000)
  const told = await timeFirstRefusals(() => createPasswords(hashing, createTestRandom()))
  t.log(told)
  t.true(told['dear bcrypt']! > toldApart)
})

test.serial(
  'the test of promise 7 can fail: a server that hashes nothing for an unknown user is told apart',
  async t => {
    const real = await createPasswords(hashing, createTestRandom())
    const passwords: Passwords = {
      ...real,
      verify: async (typed, storedHash, isRefused) =>
        storedHash !== undefined && real.verify(typed, storedHash, isRefused),
    }
    const told = await timeRefusals(t, passwords, 100)
    t.log(told)
    t.true(told['an unknown user']! > toldApart)
    t.true(told['a disabled user']! < toldApart)
  },
)

/**
 * Times sign-ins where everybody has to wait: of an account that signed in there before, which is heard all the same, of another
 * one and of nobody.
 */
async function timeWaits(t: ExecutionContext, passwords: Passwords, rounds: number) {
  t.timeout(240_000)
  let heard = 0
  const verifyAside: Passwords['verifyAside'] = (...given) => {
    heard++
    return passwords.verifyAside(...given)
  }
  const throttle = { network: 5, account: 1_000_000, elsewhere: 1_000_000, password: 1_000_000 }
  // In less time than it would be, so that the test ends.
  const server = await startServerWithAlice(t, {
    passwords: { ...passwords, verifyAside, patience: () => 40 },
    throttle,
  })
  await server.addUser({ username: 'bob' })
  await server.signIn()
  const guess = (username: string) =>
    server.token({ grant_type: 'password', client_id: 'app', username, password: 'wrong' })
  for (let i = 0; i < 6; i++) t.is((await guess(`user ${i}`)).status, 400)
  const kinds = { 'a user known here': 'alice', 'a user not known here': 'bob', 'an unknown user': 'nobody' }
  const samples: Samples = Object.fromEntries(Object.keys(kinds).map(kind => [kind, []]))
  for (let round = -3; round < rounds; round++) {
    for (const [kind, username] of shuffled(Object.entries(kinds))) {
      const began = performance.now()
      const { status } = await guess(username)
      const elapsed = performance.now() - began
      t.is(status, 429)
      if (round >= 0) samples[kind]!.push(elapsed)
    }
  }
  // Where this machine stood still for longer than the patience, the check before was still under way, and hers was not heard.
  t.true(heard > 0.9 * (rounds + 3) && heard <= rounds + 3, `${heard} of ${rounds + 3} were heard`)
  return compare(samples)
}

test.serial('promise 7: nor, where everybody has to wait, who signed in there before', async t => {
  const told = await timeWaits(t, await createPasswords(hashing, createTestRandom()), 250)
  t.log(told)
  for (const [kind, value] of Object.entries(told)) t.true(value < toldApart, `${kind}: ${value}`)
})

test.serial('the test of who has to wait can fail: a server that is late for whom it hears is told apart', async t => {
  const passwords = await createPasswords(hashing, createTestRandom())
  const verifyAside: Passwords['verifyAside'] = async () => {
    const began = performance.now()
    while (performance.now() - began < 80);
    return false
  }
  const told = await timeWaits(t, { ...passwords, verifyAside }, 50)
  t.log(told)
  for (const value of Object.values(told)) t.true(value > toldApart)
})

/** Times sign-ups with an address that has an account, and with one that has none. */
async function timeSignUps(t: ExecutionContext, rounds: number, lookUp?: (isKnown: boolean) => void) {
  t.timeout(120_000)
  const server = await startSignUp(t, { throttle: { enabled: false } })
  await server.addUser({ email: address })
  const { storage } = server.deps
  const addMail: Storage['addMail'] = async mail => {
    lookUp?.((await storage.findUserOfAddress(mail.address!)) !== undefined)
    return storage.addMail(mail)
  }
  const node =
    lookUp && (await startSignUp(t, { beside: server, storage: { ...storage, addMail }, throttle: { enabled: false } }))
  const kinds: Record<string, string> = { 'an address without an account': 'fred@example.com', 'an account': address }
  const samples: Samples = Object.fromEntries(Object.keys(kinds).map(kind => [kind, []]))
  for (let round = -20; round < rounds; round++) {
    for (const kind of shuffled(Object.keys(kinds))) {
      const began = performance.now()
      const { status } = await (node ?? server).post('/sign-up', { client_id: 'app', email: kinds[kind]! })
      const elapsed = performance.now() - began
      t.is(status, 200)
      if (round >= 0) samples[kind]!.push(elapsed)
    }
  }
  return compare(samples)
}

test.serial(
  'promise 7: at a sign-up an address that has an account takes no other time than one that has none',
  async t => {
    const told = await timeSignUps(t, 400)
    t.log(told)
    t.true(told['an account']! < toldApart)
  },
)

test.serial(
  'the test of sign-ups can fail: a server that does something for who has an account is told apart',
  async t => {
    const told = await timeSignUps(t, 60, isKnown => {
      const began = performance.now()
      while (isKnown && performance.now() - began < 5);
    })
    t.log(told)
    t.true(told['an account']! > toldApart)
  },
)

const secrets = createTestSecrets()
const macLength = 32
const random = createTestRandom()
const rightTokens = Array.from({ length: 16 }, () =>
  formatRefreshToken({ sessionId: random(16).toString('base64url'), generation: 2 ** 24 }, secrets),
)

/**
 * Times a check of refresh tokens whose MAC is wrong from its first byte on, and only in its last: a hundredth apart, if at all.
 * A busy machine scatters times by more than that, but two that are taken one right after the other alike; so each pair says
 * only which was longer.
 *
 * @returns |z| of the sign test for the median of nine rounds
 */
function compareChecks(check: (presented: string, right: string) => unknown): number {
  const wrongFrom = (at: number, right: string) => {
    const bytes = Buffer.from(right.slice(4), 'base64url')
    for (let i = bytes.length - macLength + at; i < bytes.length; i++) bytes[i] = bytes[i]! ^ 0x55
    return `lkr_${bytes.toString('base64url')}`
  }
  const time = (tokens: readonly string[]) => {
    const began = process.hrtime.bigint()
    for (const [i, presented] of tokens.entries()) check(presented, rightTokens[i]!)
    return process.hrtime.bigint() - began
  }
  const round = () => {
    // New ones in each round: where in memory they are tells too, in one round for these and in the next for those.
    const [first, last]: [string[], string[]] = [[], []]
    for (const right of rightTokens) {
      for (const [tokens, at] of shuffled([[first, 0] as const, [last, macLength - 1] as const]))
        tokens.push(wrongFrom(at, right))
    }
    let [longer, pairs] = [0, 0]
    // The first ones run before the code is compiled.
    for (let pair = -200; pair < 2000; pair++) {
      const isFirstFirst = Math.random() < 0.5
      const [one, other] = isFirstFirst ? [time(first), time(last)] : [time(last), time(first)]
      if (pair < 0 || one === other) continue
      pairs++
      if (isFirstFirst === other > one) longer++
    }
    return (2 * longer - pairs) / Math.sqrt(pairs)
  }
  const rounds = Array.from({ length: 9 }, round).toSorted((a, b) => a - b)
  return Math.abs(rounds[4]!)
}

test.serial(
  'a wrong MAC is refused in the same time, wherever it differs: the comparison is constant-time (CWE-208)',
  t => {
    t.timeout(120_000)
    t.is(parseRefreshToken(rightTokens[0]!, secrets)?.generation, 2 ** 24)
    const told = compareChecks(presented => parseRefreshToken(presented, secrets))
    t.log(told)
    t.true(told < toldApart, `${told}`)
  },
)

test.serial('the test of the comparison can fail: one that ends at the first difference is told apart', t => {
  t.timeout(120_000)
  const told = compareChecks((presented, right) => {
    const [bytes, expected] = [presented, right].map(text => Buffer.from(text.slice(4), 'base64url'))
    createHmac('sha256', 'key').update(bytes!).digest()
    for (let i = 0; i < expected!.length; i++) if (expected![i] !== bytes![i]) return false
    return true
  })
  t.log(told)
  t.true(told > toldApart, `${told}`)
})
