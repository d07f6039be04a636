/** Password hashing: argon2id as set, imported bcrypt, and the limit on how many hashes run and wait. */
import { setImmediate } from 'node:timers/promises'
import test from 'ava'
import bcrypt from 'bcrypt'
import fc from 'fast-check'
import { OAuthError } from '../../src/error.ts'
import { createPasswords, type PasswordHashing } from '../../src/users/password.ts'
import { passwordHashProblem } from '../../src/users/password_formats.ts'
import { cheapHashing, createTestRandom, password } from '../_server.ts'

/** Some 20 ms a hash: long beside a turn of the event loop. */
const slowHashing: PasswordHashing = { memory: 16_384, passes: 2, lanes: 1, concurrency: 1, queue: 0 }

const isPasswordHash = (text: string) => passwordHashProblem(text) === undefined

const argon2Hash = '$argon2id$v=19$m=8,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$TWpq3uN1sVoLcnLGPxWnZw'

test('a hash is a PHC string of argon2id with the cost that is set, in the order m, t, p that libargon2 reads', async t => {
  const passwords = await createPasswords({ ...cheapHashing, memory: 64, passes: 3, lanes: 2 }, createTestRandom())
  const hash = await passwords.hash(password)
  t.regex(hash, /^\$argon2id\$v=19\$m=64,t=3,p=2\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  t.false(hash.includes(password))
})

test('the same password hashes differently every time', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  t.not(await passwords.hash(password), await passwords.hash(password))
})

test('the right password verifies, another does not', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  const hash = await passwords.hash(password)
  t.true(await passwords.verify(password, hash))
  for (const wrong of [`${password} `, password.slice(0, -1), password.toUpperCase(), '']) {
    t.false(await passwords.verify(wrong, hash))
  }
})

test('promise 7: an unknown user is false, even for the password of nobody', async t => {
  const seen: string[] = []
  const random = createTestRandom()
  const passwords = await createPasswords(cheapHashing, size => {
    const bytes = random(size)
    seen.push(bytes.toString('base64url'))
    return bytes
  })
  for (const guess of ['', password, ...seen]) t.false(await passwords.verify(guess, undefined))
})

test('promise 7: an unknown user costs a hash of the same cost: it holds a place like any other', async t => {
  const passwords = await createPasswords(slowHashing, createTestRandom())
  const unknown = passwords.verify(password, undefined)
  await t.throwsAsync(passwords.hash(password), { instanceOf: OAuthError })
  t.false(await unknown)
  await t.notThrowsAsync(passwords.hash(password))
})

test('a password is the same in NFC and NFD', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  t.true(await passwords.verify('cafe\u0301 au lait', await passwords.hash('caf\u00e9 au lait')))
  t.true(await passwords.verify('caf\u00e9 au lait', await passwords.hash('cafe\u0301 au lait')))
  t.false(await passwords.verify('cafe au lait', await passwords.hash('caf\u00e9 au lait')))
})

test('needsRehash: another kind or another cost, and not the cost of today', async t => {
  const random = createTestRandom()
  const today = await createPasswords(cheapHashing, random)
  t.false(today.needsRehash(await today.hash(password)))
  for (const other of [{ memory: 16 }, { passes: 3 }, { lanes: 2, memory: 16 }]) {
    const passwords = await createPasswords({ ...cheapHashing, ...other }, random)
    t.true(today.needsRehash(await passwords.hash(password)), JSON.stringify(other))
  }
  t.true(today.needsRehash(await bcrypt.hash(password, 4)))
})

for (const variant of ['$2a$', '$2b$', '$2y$']) {
  test(`an imported ${variant} bcrypt hash verifies the right password only`, async t => {
    const passwords = await createPasswords(cheapHashing, createTestRandom())
    const hash = (await bcrypt.hash(password, 4)).replace(/^\$2b\$/, variant)
    t.true(hash.startsWith(variant))
    t.true(isPasswordHash(hash))
    t.true(await passwords.verify(password, hash))
    t.false(await passwords.verify(`${password}!`, hash))
    t.true(passwords.needsRehash(hash))
  })
}

test('the bcrypt hash of the FastAPI tutorial verifies its password', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  const johndoe = '$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW'
  t.true(await passwords.verify('secret', johndoe))
  t.false(await passwords.verify('secret2', johndoe))
})

test('a bcrypt hash that was made from an NFD or an NFC password takes the password as it was typed there', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  t.true(await passwords.verify('cafe\u0301 au lait', await bcrypt.hash('cafe\u0301 au lait', 4)))
  t.true(await passwords.verify('cafe\u0301 au lait', await bcrypt.hash('caf\u00e9 au lait', 4)))
  t.false(await passwords.verify('cafe\u0301 au lait', await bcrypt.hash('cafe au lait', 4)))
})

test.serial(
  'promise 7: what is refused waits for a dear kind of hash once one of it was learnt, and what is let in does not',
  async t => {
    const passwords = await createPasswords(cheapHashing, createTestRandom())
    // What the tests beside this one do makes times longer: the least counts.
    const least = async (task: () => Promise<unknown>) => {
      const times: number[] = []
      for (let i = 0; i < 5; i++) {
        const began = performance.now()
        await task()
        times.push(performance.now() - began)
      }
      return Math.min(...times)
    }
    const refuse = async () => t.false(await passwords.verify(password, undefined))
    const own = await passwords.hash(password)
    const dear = await bcrypt.hash('their password', 10)
    const limit = (await least(async () => bcrypt.compareSync(password, dear))) / 8

    t.true((await least(refuse)) < limit)
    await passwords.learn([own, 'no hash', dear, dear])

    t.true((await least(refuse)) > limit)
    t.true((await least(async () => t.true(await passwords.verify(password, own)))) < limit)
  },
)

test('promise 7: while kinds are being learnt, what is refused waits for the limit of two seconds', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  const learning = passwords.learn([await bcrypt.hash('their password', 11)])
  const began = performance.now()
  t.false(await passwords.verify(password, undefined))
  t.true(performance.now() - began > 1900)
  await learning
  // The twin: nothing is left to learn.
  const own = await passwords.hash(password)
  t.true(await passwords.verify(password, own))
})

test('promise 7: nor is that over when learning had to leave the queue to sign-ins', async t => {
  const passwords = await createPasswords(slowHashing, createTestRandom())
  const brought = [await bcrypt.hash('their password', 8)]
  const signIn = passwords.verify(password, undefined)
  await passwords.learn(brought)
  await signIn
  const began = performance.now()
  t.false(await passwords.verify(password, undefined))
  t.true(performance.now() - began > 1900)
  // The twin: once it is learnt the least of some refusals does not wait that long. A machine that stood still meanwhile learns anew.
  const times: number[] = []
  for (let i = 0; i < 20 && !times.some(time => time < 1900); i++) {
    await passwords.learn(brought)
    const began = performance.now()
    t.false(await passwords.verify(password, undefined))
    times.push(performance.now() - began)
  }
  t.true(Math.min(...times) < 1900)
})

test('a hash that takes longer than any refusal waits is estimated and not computed', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  const salt = 'A'.repeat(22)
  const began = performance.now()
  await passwords.learn([97, 98, 99].map(t => `$argon2id$v=19$m=262144,t=${t},p=1$${salt}$${'A'.repeat(43)}`))
  // All of them are a hundred seconds.
  t.true(performance.now() - began < 50_000)
})

test('learn leaves a full queue to sign-ins and learns another time', async t => {
  const passwords = await createPasswords(slowHashing, createTestRandom())
  const brought = [await bcrypt.hash('their password', 10)]
  /** Whether there is a place for a hash while something goes on. */
  const leavesRoom = async (task: Promise<unknown>) => {
    const isRefused = await passwords.hash(password).then(
      () => false,
      error => error instanceof OAuthError,
    )
    await task
    return !isRefused
  }

  const signIn = passwords.verify(password, undefined)
  await passwords.learn(brought)
  t.false(await signIn)

  t.false(await leavesRoom(passwords.learn(brought)), 'it is not learnt yet')
  t.true(await leavesRoom(passwords.learn(brought)), 'nothing is left to learn')
})

for (const concurrency of [1, 2, 3]) {
  test(`at most ${concurrency} hashes run at once, whatever waits`, async t => {
    const random = createTestRandom()
    let begun = 0
    let ended = 0
    let most = 0
    // A hash draws its salt when it begins.
    const passwords = await createPasswords({ ...slowHashing, concurrency, queue: 20 }, size => {
      begun++
      most = Math.max(most, begun - ended)
      return random(size)
    })
    begun = most = 0

    const all = Array.from({ length: 10 }, () => passwords.hash(password).finally(() => ended++))
    await setImmediate()
    t.deepEqual({ begun, ended }, { begun: concurrency, ended: 0 })
    await Promise.all(all)

    t.is(begun, 10)
    // The next begins in the very moment before the end of the last is told.
    t.true(most <= concurrency + 1)
  })
}

test('a full queue is temporarily_unavailable with a time to try again', async t => {
  const passwords = await createPasswords({ ...slowHashing, queue: 1 }, createTestRandom())
  const hash = await passwords.hash(password)

  const outcomes = await Promise.allSettled([
    passwords.hash(password),
    passwords.verify(password, hash),
    passwords.hash(password),
    passwords.verify(password, hash),
  ])

  t.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'rejected'],
  )
  for (const outcome of outcomes.slice(2)) {
    t.like(outcome.status === 'rejected' && outcome.reason, { code: 'temporarily_unavailable', retryAfter: 2 })
  }
  // The twin: with room for all four.
  const roomy = await createPasswords({ ...slowHashing, queue: 3 }, createTestRandom())
  await t.notThrowsAsync(Promise.all(Array.from({ length: 4 }, () => roomy.hash(password))))
})

test('who is answered at a fixed time waits in no storm: there is a line beside the full one (promise 7)', async t => {
  const passwords = await createPasswords(slowHashing, createTestRandom())
  const hash = await passwords.hash(password)
  const storm = passwords.verify('wrong', hash)
  await t.throwsAsync(passwords.verify(password, hash), { instanceOf: OAuthError })

  t.true(await passwords.verifyAside(password, hash, () => false))
  t.false(await passwords.verifyAside('wrong', hash, () => false))
  t.false(await passwords.verifyAside(password, hash, () => true))
  t.true(passwords.patience() > 100)
  await storm
})

test('bcrypt hashes hold a place like argon2id hashes', async t => {
  const passwords = await createPasswords(slowHashing, createTestRandom())
  const imported = await bcrypt.hash(password, 8)
  const running = passwords.verify(password, imported)
  await t.throwsAsync(passwords.verify(password, imported), { instanceOf: OAuthError })
  t.true(await running)
  t.true(await passwords.verify(password, imported))
})

test('a place is given back after a failure and after a refusal', async t => {
  const passwords = await createPasswords({ ...cheapHashing, concurrency: 1, queue: 0 }, createTestRandom())
  for (let i = 0; i < 5; i++) {
    await t.throwsAsync(passwords.verify(password, '$argon2id$broken'))
    const running = passwords.hash(password)
    await t.throwsAsync(passwords.hash(password), { instanceOf: OAuthError })
    await running
  }
  const hash = await passwords.hash(password)
  t.true(await passwords.verify(password, hash))
})

test('those who wait are served in the order in which they came', async t => {
  const passwords = await createPasswords({ ...cheapHashing, concurrency: 1, queue: 10 }, createTestRandom())
  const order: number[] = []
  await Promise.all([0, 1, 2, 3, 4].map(i => passwords.hash(password).then(() => order.push(i))))
  t.deepEqual(order, [0, 1, 2, 3, 4])
})

test('isPasswordHash takes argon2id and bcrypt in the forms that verify can take', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  const bcryptHash = await bcrypt.hash(password, 4)
  for (const good of [await passwords.hash(password), argon2Hash, bcryptHash]) t.true(isPasswordHash(good), good)
  for (const bad of [
    '',
    password,
    argon2Hash.replace('argon2id', 'argon2d'),
    argon2Hash.replace('v=19', 'v=16'),
    argon2Hash.replace(',p=1', ''),
    `${argon2Hash}\n`,
    ` ${argon2Hash}`,
    bcryptHash.slice(0, -1),
    `${bcryptHash}x`,
    bcryptHash.replace('$04$', '$03$'),
    bcryptHash.replace('$04$', '$32$'),
    bcryptHash.replace('$2b$', '$2x$'),
    '$pbkdf2-sha256$29000$c2FsdA$aGFzaA',
  ]) {
    t.false(isPasswordHash(bad), bad)
  }
})

test('promise 8: what isPasswordHash takes can be verified: false, never an exception at every sign-in', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  const bcryptHash = await bcrypt.hash(password, 4)
  t.true(isPasswordHash(argon2Hash))
  for (const odd of [
    argon2Hash,
    argon2Hash.replace('m=8', 'm=1'),
    argon2Hash.replace('t=2', 't=0'),
    argon2Hash.replace('p=1', 'p=0'),
    argon2Hash.replace('p=1', 'p=8'),
    argon2Hash.replace('c29tZX', 'c29t_X'),
    argon2Hash.replace('TWpq3u', 'TWp_3u'),
    `${argon2Hash}AAA`,
    argon2Hash.replace('c29tZXNhbHRzb21lc2FsdA', 'c29tZXNhbHRzb'),
    `${bcryptHash.slice(0, -1)}_`,
    bcryptHash.replace(/^(\$2b\$04\$)./, '$1_'),
  ]) {
    if (isPasswordHash(odd)) await t.notThrowsAsync(passwords.verify(password, odd), odd)
  }
})

test('property: isPasswordHash never throws and takes no ordinary text', t => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), text => !isPasswordHash(text)))
  t.pass()
})

test('isPasswordHash takes no hash that would hold a core for long at every sign-in', t => {
  for (const [good, bad] of [
    [argon2Hash.replace('m=8', 'm=1048576'), argon2Hash.replace('m=8', 'm=1048577')],
    [argon2Hash.replace('t=2', 't=99'), argon2Hash.replace('t=2', 't=100')],
    [`$2b$15$${'a'.repeat(53)}`, `$2b$16$${'a'.repeat(53)}`],
  ] as const) {
    t.deepEqual([isPasswordHash(good), isPasswordHash(bad)], [true, false], bad)
  }
})

test('a password is looked for among the breached ones as it was typed and in NFC, and nowhere unless there is a list', async t => {
  const asked: string[] = []
  const isBreached = (form: string) => {
    asked.push(form)
    return form === 'caf\u00e9 au lait'
  }
  const passwords = await createPasswords(cheapHashing, createTestRandom(), isBreached)
  t.true(await passwords.isBreached('caf\u00e9 au lait'))
  t.true(await passwords.isBreached('cafe\u0301 au lait'))
  t.false(await passwords.isBreached('cafe au lait'))
  t.deepEqual(asked, ['caf\u00e9 au lait', 'caf\u00e9 au lait', 'cafe au lait'])
  asked.length = 0
  t.false(await passwords.isBreached('cafe\u0301'))
  t.deepEqual(asked, ['caf\u00e9', 'cafe\u0301'])
  t.false(await (await createPasswords(cheapHashing, createTestRandom())).isBreached('caf\u00e9 au lait'))
})
