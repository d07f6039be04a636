/**
 * Hashes that users bring along, as other programs wrote them: Django 5.2, passlib 1.7, Werkzeug 3.1, argon2-cffi 25, and
 * the example of Firebase's own documentation.
 */
import { createHash } from 'node:crypto'
import test from 'ava'
import bcrypt from 'bcrypt'
import fc from 'fast-check'
import { createPasswords } from '../src/oauth/password.ts'
import { openPasswordHash, passwordHashProblem } from '../src/oauth/password_formats.ts'
import { cheapHashing, createTestRandom, password } from './_server.ts'

/** All of {@link password}. */
const written: Record<string, string> = {
  'Django pbkdf2_sha256': 'pbkdf2_sha256$2000$seasalt2$wxn68846qjDWD4qkn/0owVuveynrPhmySXSuVzeQu00=',
  'Django pbkdf2_sha1': 'pbkdf2_sha1$2000$seasalt2$gjXnoNOWnOYXEt3ZVQBlW9ZIGtM=',
  'Django scrypt':
    'scrypt$1024$seasalt2$8$5$ndLNbnzoOB8VPGcrDWboOqvJnggeLUVze+q0WEP6X6vUFWx0XgY4pX4RNes9M1wqi9qnLUptWQQQSaMbVxA6MA==',
  'Django argon2': 'argon2$argon2id$v=19$m=64,t=2,p=1$c2Vhc2FsdDI$3ZdMK7AuD4ojA+PbSZArMX2JD4uotYm9nbGiNLtnSVw',
  'Django bcrypt_sha256': 'bcrypt_sha256$$2b$04$wa9uiy8uaFflAN3dhhcNkOObuMfNgaFrjFx1GvCIHBM3zfgEQJ2aC',
  'Django bcrypt': 'bcrypt$$2b$04$LamGw7OCJieTmFlXiYoBneKr/vAnG2mKFL2jodtx1NTEQxly4BS1S',
  'passlib pbkdf2_sha256': '$pbkdf2-sha256$2000$.D/HGGOstRZiLAVAiDGGEA$iwv.oHPiPJFCLl4B3TLcChxWRWBZtzjc.Ed50exy2Nc',
  'passlib pbkdf2_sha512':
    '$pbkdf2-sha512$2000$bO2dE6KUUuodQ.h9T6l1jg$pOGXICEO4UXT79PMaFBJ6WLxKCGcBbN1tYlanhsLpnHt0VEy8FZ3SKTqfeNfhkk7GEd7aSnDFm68p7mRLLFjKw',
  'passlib pbkdf2_sha1': '$pbkdf2$2000$OsfYG8N4LwWgNOYcA2BsjQ$gC2pH8XHKla6.sUqOThqJu7zpxU',
  'passlib scrypt': '$scrypt$ln=10,r=8,p=1$Qejde0+plbK2do6x9v7/fw$6s2Cu1pZp8adq5XeOBbrrq51ngA/QCwNed/J22eAqcA',
  'passlib Django': 'pbkdf2_sha256$2000$wxW0JRwWyWjR$fuSw8jxiVDBkBaW5Oxsb/B6V1yo1cy6sTx3h4CTWkSE=',
  'Werkzeug pbkdf2':
    'pbkdf2:sha256:2000$ciz4gMOh8I1lKlTZ$18f2b768aa44860dface3bfa218aec541730d1dc44aa59a71826232082095696',
  'Werkzeug pbkdf2 sha512':
    'pbkdf2:sha512:2000$yPa0aW0xVreiX3EL$9d2faf65a4338eb6c16f6ebd0859f8a13df37b698fb2ef0386e6d43e777e167fbc4143f4e0d3fc9030c467aeca8532e6b3483c6cb26c4af12c7720f84d3c9928',
  'Werkzeug scrypt':
    'scrypt:1024:8:1$5fVwtKBgDkNpZtDw$b94e00e8a55c2ac23d595adf7969d553b402538e2031637fddd9c27b3a3c6940e77990c3eedc3f3a5f68e18173531ac8b9b6d241332ee8ba568611717fccd20c',
  'argon2-cffi argon2i':
    '$argon2i$v=19$m=64,t=2,p=1$4Fl5LJlIuFqlGCMHQHjt0g$zdH1n4x398l/1bDx3mDQGfu1EOOXM7xe9ERn7aCF0qc',
}

const firebase = {
  password: 'user1password',
  hash: '$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
}

const verify = (text: string, candidate: string) => openPasswordHash(text)?.verify(candidate)

for (const [name, hash] of Object.entries(written)) {
  test(`the ${name} hash verifies its password, and no other`, async t => {
    t.is(passwordHashProblem(hash), undefined)
    t.true(await verify(hash, password))
    for (const wrong of [`${password} `, password.toUpperCase(), '']) t.false(await verify(hash, wrong))
  })
}

test("Firebase's scrypt verifies its password, and no other, in both alphabets of base64", async t => {
  const urlSafe = firebase.hash.replaceAll('+', '-').replace(/(?<=\$42x.*)\//g, '_')
  for (const hash of [firebase.hash, urlSafe]) {
    t.true(await verify(hash, firebase.password))
    t.false(await verify(hash, `${firebase.password}!`))
  }
})

test("Django's bcrypt_sha256 takes passwords that are too long for bcrypt whole", async t => {
  const long = 'x'.repeat(100)
  const hash = `bcrypt_sha256$${await bcrypt.hash(createHash('sha256').update(long).digest('hex'), 4)}`
  t.true(await verify(hash, long))
  t.false(await verify(hash, `${long}x`))
})

test('every brought hash is one that the next sign-in replaces, and an own one is not', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  for (const hash of [...Object.values(written), firebase.hash]) t.true(passwords.needsRehash(hash), hash)
  t.false(passwords.needsRehash(await passwords.hash(password)))
})

test('promise 7: beside a slower brought hash, what is refused takes as long for an unknown user', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  // Some 50 ms; an own hash takes less than one here.
  t.false(await passwords.verify('wrong', await bcrypt.hash(password, 10)))
  const began = performance.now()
  t.false(await passwords.verify('wrong', undefined))
  t.true(performance.now() - began > 20)
})

const [django, werkzeug] = [written['Django pbkdf2_sha256']!, written['Werkzeug scrypt']!]

for (const [limit, most, tooMuch] of [
  ['5,000,000 iterations', django.replace('$2000$', '$5000000$'), django.replace('$2000$', '$5000001$')],
  ['N·r·p = 2^23', werkzeug.replace(':1024:', ':1048576:'), werkzeug.replace(':1024:', ':2097152:')],
  ['cost 15', `$2b$15$${'a'.repeat(53)}`, `$2b$16$${'a'.repeat(53)}`],
] as const) {
  test(`a hash that would hold a core for long at every sign-in is refused: the limit is ${limit}`, t => {
    t.is(passwordHashProblem(most), undefined)
    t.regex(passwordHashProblem(tooMuch) ?? '', /^costs more than one sign-in may: the limit for \w+ is /)
    t.true(passwordHashProblem(tooMuch)?.endsWith(limit))
    t.is(openPasswordHash(tooMuch), undefined)
  })
}

test('scrypt with an N of 2^(128·r/8) or more is refused: nobody can compute it (RFC 7914 §2)', async t => {
  t.is(passwordHashProblem(werkzeug.replace(':1024:8:', ':65536:1:')), 'is not a whole scrypt hash')
  t.false(await openPasswordHash(werkzeug.replace(':1024:8:', ':32768:1:'))?.verify(password))
})

test('what is cut short, changed or of another kind is refused in words that do not show it', t => {
  for (const [text, problem] of [
    ['', 'is not a hash of bcrypt, argon2i, argon2id, scrypt or PBKDF2'],
    [password, 'is not a hash of bcrypt, argon2i, argon2id, scrypt or PBKDF2'],
    ['5f4dcc3b5aa765d61d8327deb882cf99', 'is not a hash of bcrypt, argon2i, argon2id, scrypt or PBKDF2'],
    ['sha256$salt$5f4dcc3b5aa765d61d8327deb882cf99', 'is not a hash of bcrypt, argon2i, argon2id, scrypt or PBKDF2'],
    [django.slice(0, 40), 'is not a whole PBKDF2 hash'],
    [django.replace('$2000$', '$0$'), 'is not a whole PBKDF2 hash'],
    [`${django} `, 'is not a whole PBKDF2 hash'],
    [werkzeug.replace(':1024:', ':1000:'), 'is not a whole scrypt hash'],
    [werkzeug.replace(/(?<=\$.*\$).*/, 'abcd'), 'is not a whole scrypt hash'],
    [firebase.hash.slice(0, -8), 'is not a whole Firebase scrypt hash'],
    [firebase.hash.replace('v=1', 'v=2'), 'is not a whole Firebase scrypt hash'],
  ] as const) {
    t.is(passwordHashProblem(text), problem, text)
  }
})

test('property: whatever a changed character leaves can be verified or is refused: never an exception at every sign-in', async t => {
  const hashes = Object.values(written)
  const changed = fc
    .tuple(fc.constantFrom(...hashes), fc.nat(), fc.string({ unit: 'binary', maxLength: 2 }))
    .map(([hash, at, text]) => {
      const position = at % hash.length
      return hash.slice(0, position) + text + hash.slice(position + 1)
    })
    // Costs that are allowed and high would be computed.
    .filter(hash => !/\d{5}/.test(hash.slice(0, 30)))
  await fc.assert(
    fc.asyncProperty(changed, async hash => {
      const opened = openPasswordHash(hash)
      t.is(opened === undefined, passwordHashProblem(hash) !== undefined)
      if (opened) t.is(typeof (await opened.verify('x')), 'boolean')
    }),
    { numRuns: 300 },
  )
})
