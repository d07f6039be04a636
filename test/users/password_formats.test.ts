/**
 * Hashes that users bring along, as other programs wrote them: Django 5.2, passlib 1.7, Werkzeug 3.1, argon2-cffi 25,
 * OpenSSL 3.0 (`openssl passwd`), Debian's whois 5.5 (`mkpasswd`), PHP 8.2 (`password_hash`, `crypt`), Dovecot 2.3
 * (`doveadm pw`), OpenLDAP 2.5 (`slappasswd`), and the example of Firebase's own documentation.
 *
 * Not run, for want of them: WordPress (its two lines of PHP were), Ory Kratos (made by Python's hashlib in its notation), .NET
 * and Spring Security (their published examples).
 */
import { createHash } from 'node:crypto'
import test from 'ava'
import bcrypt from 'bcrypt'
import fc from 'fast-check'
import { createPasswords } from '../../src/users/password.ts'
import { openPasswordHash, passwordHashProblem } from '../../src/users/password_formats.ts'
import { cheapHashing, createTestRandom, password } from '../_server.ts'

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
  'passlib bcrypt_sha256': '$bcrypt-sha256$v=2,t=2b,r=4$A/f074JyA4i5qgJf3oByX.$YXatECrTwzAzodipa3dVqG6NS6J0KvS',
  'passlib bcrypt_sha256 version 1': '$bcrypt-sha256$2b,4$75uDPPc12q5NJITsJT0.s.$xY9j7.kZeMEnYddBD9Y/f7l94gJzRYy',
  'passlib sha512_crypt':
    '$6$rounds=1000$87M1NCzhuo.7u74B$26kNE7GM94qAzbQKbzaNPkxSqqo4jYoXFtonDcOz.ae/wPoyjZHZjvqOM9OxewzB7aVV6a8jql6BLqxRrcHL80',
  'passlib sha256_crypt': '$5$rounds=1000$zHfKhQWwL.lI/BTa$x4cBpcBEjTiLtQSlGNVigAFPnWAtEfqHSyjuZFwrvb8',
  'passlib phpass': '$P$6qMIA.172/Ho9NsgcjyQoYMxrktex50',
  'passlib phpass as phpBB': '$H$6wS2o43sgwLvZkmQhDzPHFj0QHGrAR.',
  'passlib ldap_salted_sha1': '{SSHA}ctThqbi3wmz+rBIaI82tC6JrWOlVCmEM',
  'passlib ldap_salted_sha256': '{SSHA256}KF1kbnPsez0N9R+gFrMtg+o+bZdVvXFaVg5InlVcfBIHgHAOYQzBWA==',
  'passlib ldap_salted_sha512':
    '{SSHA512}cuZTXRo/AXusBXtfBMc46lXiB4NvJoroGCTIWebBWQI0Go9OMKpZBPNpSF7EIBqdjvyan7TQC5RTlRvqsPQPpnDunXPunTPG',
  'passlib ldap_pbkdf2_sha256':
    '{PBKDF2-SHA256}1000$HoNwTql1ztkb45xzLoVQSg$1bP4gMkiLGAW82lgvaiRSAGUqvW0B2LKBjCsw4YMI10',
  'passlib ldap_bcrypt': '{CRYPT}$2b$04$lL.Glzt3DP9WIPk3TM/Q9Ov06FXngnzik4dsK3t4nfqbJ3RL7/gTu',
  'passlib ldap_sha512_crypt':
    '{CRYPT}$6$rounds=1000$SZJ0fNWiQ2tEs6RF$C83jDXEaNxuQpRMPyU7HpBf1g15GMHCFf9jC.Uw3iA0Lt9Yp/oA8ncS4aoouPcibUiMJ2miNIQO4fJgmrmQsG0',
  'openssl passwd -6':
    '$6$seasaltseasalt12$GAhiJgedibgMK/OyM6YAWahF95iJ2Dk8gS/nCQgfSWiABbJ79zcQAVkmWHmdlhymZ.jXSElGxrAeDQeR1mhMU1',
  'openssl passwd -5': '$5$seasalt$/9RJ.5bCoOl61Yfyn5H.WoBCX/V0m08fLp2tIHp.Gw0',
  'mkpasswd sha-512':
    '$6$rounds=1000$wCv1pnW881s/4SSU$plgrvcy5KMxX2nROt6X8G08ZEdQqL3NAjrHPTVHpqamBjQkMbXBuBZ0cNwEMZm/oT8K4PpHNaSCapxtCu2.jg0',
  'mkpasswd sha-256': '$5$rounds=1234$Vkn4boGEcTJDtw/l$CHDZkqXyiE0/1SDxnms4ftn0eyIgheMiHApwRtRdbH.',
  'PHP password_hash': '$2y$04$CKx5qkDNLhjEum3YwqVJ4ezxbvbyXfTzK.OG8AcbI2kYKMIjd.7.S',
  'PHP password_hash argon2id':
    '$argon2id$v=19$m=64,t=2,p=1$b1Biand4b1VkelczYTdlTQ$0Hr26gjHDNPkQkjgEMtLBH5k9Fu+e5Qq0ESLUl9UAaw',
  'PHP crypt':
    '$6$rounds=1500$saltsaltsalt$lZIHk1WPwHOmz3GfP9NKfuknQXmgqcEkv2Xd2fFX6PMbfV08qdGOZfVHzi2Eqwojrcsaw.YbiDQNcsuKoYU7R.',
  'WordPress 6.8': '$wp$2y$04$wJSS4rtLczPdfvvb.8coVeQyP6P9RBS9sz8MjKge9hMjNuRrvJ4AW',
  'doveadm SSHA': '{SSHA}cKk6fjRu6odZuwx5/Un/wz5c5++eW35O',
  'doveadm SSHA256': '{SSHA256}EOSwm0vKs5dATVnIMeMRGQfWgxWL6gEstHZYi/kAclioA1xB',
  'doveadm SSHA512':
    '{SSHA512}EVpqDW1HS7fkkPC8AMnv/NLDzGN/wPQJT8j0r98rVycEyoojY9kT9sjGBdHd8LjdhZbgHPOkXay+ZTdpcMFmXafF5G4=',
  'doveadm SHA': '{SHA}q/eq1kOINtvlJqojGr3i0O73TUI=',
  'doveadm SHA256': '{SHA256}xLvLH77JnWW/WdhcjLYu4tuWPw/hBvSD2a+nO9Tjmoo=',
  'doveadm SHA512': '{SHA512}vl73Z52Iq5qQRfYmflX15XhLS4zXZLXNhVpSRPkcYmlTzUbEPXZohz/W7707IhJJMVWAAxljRyoHh4H+BG5irg==',
  'doveadm BLF-CRYPT': '{BLF-CRYPT}$2y$04$Wy3Taaj1pcjYI.SkLevABOZBu5DuLorhHd/6yJC3MqGQqGZVrua3W',
  'doveadm SHA512-CRYPT':
    '{SHA512-CRYPT}$6$rounds=1000$QQS.vWsJDTtab.CS$2t.TZDxARiFpjchOUhb70Vxo4TNPnNNm2bmLLhRP4Gm2W/taIKoVhUnF2ilEoWLKTtP58xDpC5QFCFAn/n4bs/',
  'doveadm SHA256-CRYPT': '{SHA256-CRYPT}$5$b.oeaon./FEzbu.p$BW.oFwIArDtQfl8YyYiQ8o.nP2ZKunHkL5eVyn4EGA0',
  'doveadm ARGON2I':
    '{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$Yf58UmyZxLdK7djBu3idjA$qPvzd1snDh51zuHJFfyCTGTaIS46jupTLykXgLg63no',
  'doveadm PBKDF2': '{PBKDF2}$1$8vSte4c4P6QsZsPi$5000$01151879864c8039a33f80626ec040f0e55f43f5',
  'slappasswd SSHA': '{SSHA}gBqO3drw7qfwSIWaNnIy6bgfnvveWdTC',
  'slappasswd CRYPT':
    '{CRYPT}$6$F3pL34qZ4Abn5n.D$ozod/xR2bbEYqw.LTpliA0r.4LlV4cX/xPeTa8/K2XB3nm1ZveMvBbSaO/q2FpD8UVq71a9NxTkhYS488nAHM0',
  'Ory Kratos and Auth0 pbkdf2-sha256':
    '$pbkdf2-sha256$i=2000,l=32$c2Vhc2FsdHNlYXNhbHQxMg$fFdKihEF7VWWgi9JLWV7WSjiymGG/+34kDR3TO1TOLU',
  'Ory Kratos and Auth0 pbkdf2-sha512':
    '$pbkdf2-sha512$i=2000,l=64$c2Vhc2FsdHNlYXNhbHQxMg$Bea3pj2ToU6prlCMuFb/hFu7ZZX52GpJThIcHy/eoP+N9GlCKEI863ESvW4hnO+p2xyAp7VLV/xc3ASER6mS4g',
  'argon2-cffi argon2i':
    '$argon2i$v=19$m=64,t=2,p=1$4Fl5LJlIuFqlGCMHQHjt0g$zdH1n4x398l/1bDx3mDQGfu1EOOXM7xe9ERn7aCF0qc',
}

const firebase = {
  password: 'user1password',
  hash: '$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
}

/** Of other passwords than {@link password}, in the documentation and the tests of those who write them. */
const published: [name: string, password: string, hash: string][] = [
  ['Spring Security bcrypt', 'password', '{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG'],
  [
    'Spring Security pbkdf2',
    'password',
    '{pbkdf2}5d923b44a6d129f3ddf3e3c8d29412723dcbde72445e8ef6bf3b508fbf17fa4ed4d6b99ca763d8dc',
  ],
  [
    'Spring Security scrypt',
    'password',
    '{scrypt}$e0801$8bWJaSu2IKSn9Z9kM+TPXfOc/9bdYSrN1oD9qfVThWEwdRTnO7re7Ei+fUZRJ68k9lTyuTeUp4of4g24hHnazw==$OAOec05+bXxvuu/1qZ6NUR+xQYvYv7BeL1QxwRpY5Pc=',
  ],
  // Of .NET's own PasswordHasherTest.
  ['ASP.NET Identity version 2', 'my password', 'ANXrDknc7fGPpigibZXXZFMX4aoqz44JveK6jQuwY3eH/UyPhvr5xTPeGYEckLxz9A=='],
  [
    'ASP.NET Identity version 3 with SHA-1',
    'my password',
    'AQAAAAAAAAD6AAAAEAhftMyfTJylOlZT+eEotFXd1elee8ih5WsjXaR3PA9M',
  ],
  [
    'ASP.NET Identity version 3 with SHA-256',
    'my password',
    'AQAAAAEAACcQAAAAEAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw==',
  ],
  [
    'ASP.NET Identity version 3 with SHA-512',
    'my password',
    'AQAAAAIAAAD6AAAAIJbVi5wbMR+htSfFp8fTw8N8GOS/Sje+S/4YZcgBfU7EQuqv4OkVYmc4VJl9AGZzmRTxSkP7LtVi9IWyUxX8IAAfZ8v+ZfhjCcudtC1YERSqE1OEdXLW9VukPuJWBBjLuw==',
  ],
]

for (const [name, right, hash] of published) {
  test(`the published ${name} hash verifies its password, and no other`, async t => {
    t.is(passwordHashProblem(hash), undefined)
    t.true(await verify(hash, right))
    for (const wrong of [`${right} `, right.toUpperCase(), '']) t.false(await verify(hash, wrong))
  })
}

test('sha-crypt with passwords longer than a block of the hash, as passlib wrote them', async t => {
  const long = password.repeat(10)
  for (const hash of [
    '$5$rounds=1000$pn12gSIMLNBZ.zBB$jsjXMPVgJ1IRknO2Kj.co9gIKL0vtDivxet0Ptrg/d2',
    '$6$rounds=1000$glFFQs3B5j9pINH9$.mJOLLXYyT1K4Kitb3Lmgb/aJSbS00manHZETVWUOBbNrtUAdnIE1e2xpRg7.mMgEY4g3p3Og7JWXGydTE3WC1',
  ]) {
    t.true(await verify(hash, long))
    t.false(await verify(hash, password))
  }
})

test('what WordPress cuts off a password is cut off here: white space around it', async t => {
  for (const name of ['WordPress 6.8', 'passlib phpass']) {
    t.true(await verify(written[name]!, ` \t${password}\n `), name)
    t.false(await verify(written[name]!, `${password}\u00a0`), name)
  }
  t.false(await verify(written['passlib phpass as phpBB']!, `${password} `))
})

test('promise 8: loops of hashes keep no other request waiting, however long the password (CWE-407)', async t => {
  const hash = written['openssl passwd -6']!.replace('$6$', '$6$rounds=100000$')
  await verify(hash, 'warm')
  const before = performance.eventLoopUtilization()
  const began = performance.now()
  t.false(await verify(hash, 'x'.repeat(16_000)))
  const elapsed = performance.now() - began
  const { active } = performance.eventLoopUtilization(before)
  t.true(active < elapsed / 3, `${active} of ${elapsed} ms`)
  // Two of one length of a megabyte would take minutes if the work grew with it.
  t.false(await verify(hash, 'x'.repeat(1_000_000)))
})

const verify = (text: string, candidate: string) => openPasswordHash(text)?.verify(candidate)

for (const [name, hash] of Object.entries(written)) {
  test(`the ${name} hash verifies its password, and no other`, async t => {
    t.is(passwordHashProblem(hash), undefined)
    t.true(await verify(hash, password))
    const added = /WordPress|phpass$/.test(name) ? '.' : ' '
    for (const wrong of [`${password}${added}`, password.toUpperCase(), '']) t.false(await verify(hash, wrong))
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
    ['', 'is no password hash of a kind that can be verified here: docs/import.md lists them'],
    [password, 'is no password hash of a kind that can be verified here: docs/import.md lists them'],
    [
      '5f4dcc3b5aa765d61d8327deb882cf99',
      'is no password hash of a kind that can be verified here: docs/import.md lists them',
    ],
    [
      'sha256$salt$5f4dcc3b5aa765d61d8327deb882cf99',
      'is no password hash of a kind that can be verified here: docs/import.md lists them',
    ],
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
