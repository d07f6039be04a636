/** What a new password may be. NIST SP 800-63B-4 §3.1.1.2. */
import test from 'ava'
import type { Factor } from '../../src/users/factors/factor.ts'
import { minPasswordOf, minSolePassword, type PasswordOwner, passwordProblem } from '../../src/users/password_rules.ts'

const owner: PasswordOwner = { username: 'Alice.Liddell', email: 'alice@wonder.example', factors: [] }

/** @param breached the one password that has appeared in breaches */
const problemOf = (password: string, min: number, breached?: string) =>
  passwordProblem(
    { minSolePassword: min, requireFactor: 'enrolled', serviceNames: ['id.example.com', 'Looking Glass'] },
    { isBreached: async text => text === breached },
    password,
    owner,
  )
const problem = async (password: string, min = 8, breached?: string) =>
  (await problemOf(password, min, breached))?.problem

test('a password beside a second factor has 8 to 1,024 characters of any kind (NIST SP 800-63B-4 §3.1.1.2)', async t => {
  for (const good of ['13579864', '         ', 'ab'.repeat(512), '😀'.repeat(8), 'pass phrase with ünïcödé']) {
    t.is(await problem(good), undefined, good)
  }
  for (const short of ['', '1357986', '😀'.repeat(7), 'e\u0301'.repeat(7)]) {
    t.is(await problem(short), 'too_short', short)
  }
  t.is(await problem(`${'ab'.repeat(512)}c`), 'too_long')
})

test('a password that is all that a user has is one of 15 characters at least, and what is wrong says how many (NIST SP 800-63B-4 §3.1.1.2)', async t => {
  for (const good of ['135798641357986', '😀'.repeat(15), 'e\u0301'.repeat(15)])
    t.is(await problem(good, minSolePassword), undefined, good)
  for (const short of ['13579864135798', '😀'.repeat(14), 'e\u0301'.repeat(14)])
    t.deepEqual(
      await problemOf(short, minSolePassword),
      { problem: 'too_short', text: 'the password must have at least 15 characters' },
      short,
    )
})

test('a factor that sign-ins ask for makes 8 characters enough; recovery codes are none, and LATCHKEY_PASSWORD_MIN is for who has none', t => {
  const factor = (kind: Factor['kind']): Factor => ({ id: kind, userId: '', kind, createdAt: 0, data: '', counter: 0 })
  const enrolled = { minSolePassword, requireFactor: 'enrolled' } as const
  t.is(minPasswordOf(enrolled, []), 15)
  t.is(minPasswordOf(enrolled, [factor('recovery_codes')]), 15)
  t.is(minPasswordOf(enrolled, [factor('recovery_codes'), factor('totp')]), 8)
  t.is(minPasswordOf(enrolled, [factor('passkey')]), 8)
  t.is(minPasswordOf({ ...enrolled, requireFactor: 'all' }, []), 15)
  t.is(minPasswordOf({ ...enrolled, requireFactor: 'off' }, [factor('totp')]), 15)
  t.is(minPasswordOf({ ...enrolled, minSolePassword: 20 }, []), 20)
  t.is(minPasswordOf({ ...enrolled, minSolePassword: 20 }, [factor('totp')]), 8)
})

test('a password that no form or terminal could send is refused', async t => {
  for (const bad of ['1357986\0', '1357986\n', '1357986\r', '1357986\ud800']) {
    t.is(await problem(bad), 'not_typeable')
  }
  t.is(await problem('1357986\t'), undefined)
})

test('one of the commonest passwords is refused, in whatever case; what is only like one is not', async t => {
  for (const common of ['12345678', 'password', 'PassWord', 'qwertyuiop', 'iloveyou', '1qaz2wsx', 'sunshine1']) {
    t.is(await problem(common), 'too_common', common)
  }
  for (const good of ['correct horse battery staple', 'password and more', 'aaaaaaaaaaab', 'constructor!']) {
    t.is(await problem(good), undefined, good)
  }
})

test('a password that is little more than a name of its user or of the service is refused; one that has such a word in it is not (NIST SP 800-63B-4 §3.1.1.2)', async t => {
  for (const bad of [
    'alice.liddell',
    'ALICE LIDDELL',
    'liddell1',
    'alice2026!',
    'Alice.Liddell12345',
    'alicealicealice',
    'alice@wonder.example',
    'ａｌｉｃｅ ａｌｉｃｅ',
    'wonder.example',
    'looking-glass',
    'id.example.com.1',
    'liddellWonder-77',
  ])
    t.is(await problem(bad), 'own_name', bad)
  for (const good of [
    'alice83017465',
    'alice in wonderland',
    'malice everywhere',
    'wondering',
    'looking at glass',
    '20262026',
    'éalice!!',
  ])
    t.is(await problem(good), undefined, good)
})

test('a password that has appeared in data breaches is refused and says why, and only where nothing else is wrong with it', async t => {
  const breached = 'seven lamps over the harbour'
  t.deepEqual(await problemOf(breached, 15, breached), {
    problem: 'breached',
    text: 'the password has appeared in data breaches, and those are tried first',
  })
  t.is(await problem(breached, 15, 'another'), undefined)
  t.is(await problem('too short', 15, 'too short'), 'too_short')
})

test('there is no rule about what a password is made of', async t => {
  for (const plain of ['onlylowercaseletters', '90817263544536', 'ALLUPPERCASE LETTERS']) {
    t.is(await problem(plain), undefined, plain)
  }
})
