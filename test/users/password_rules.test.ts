/** What a new password may be. NIST SP 800-63B §3.1.1.2. */
import test from 'ava'
import { passwordProblem } from '../../src/users/password_rules.ts'

test('a password has 8 to 1,024 characters of any kind (NIST SP 800-63B §3.1.1.2)', async t => {
  for (const good of ['13579864', '         ', 'ab'.repeat(512), '😀'.repeat(8), 'pass phrase with ünïcödé']) {
    t.is(await passwordProblem(good), undefined, good)
  }
  for (const short of ['', '1357986', '😀'.repeat(7), 'e\u0301'.repeat(7)]) {
    t.is(await passwordProblem(short), 'too_short', short)
  }
  t.is(await passwordProblem(`${'ab'.repeat(512)}c`), 'too_long')
})

test('a password that no form or terminal could send is refused', async t => {
  for (const bad of ['1357986\0', '1357986\n', '1357986\r', '1357986\ud800']) {
    t.is(await passwordProblem(bad), 'not_typeable')
  }
  t.is(await passwordProblem('1357986\t'), undefined)
})

test('one of the commonest passwords is refused, in whatever case; what is only like one is not', async t => {
  for (const common of ['12345678', 'password', 'PassWord', 'qwertyuiop', 'iloveyou', '1qaz2wsx', 'sunshine1']) {
    t.is(await passwordProblem(common), 'too_common', common)
  }
  for (const good of ['correct horse battery staple', 'password and more', 'aaaaaaaaaaab', 'constructor!']) {
    t.is(await passwordProblem(good), undefined, good)
  }
})

test('there is no rule about what a password is made of', async t => {
  for (const plain of ['onlylowercaseletters', '90817263544536', 'ALLUPPERCASE LETTERS']) {
    t.is(await passwordProblem(plain), undefined, plain)
  }
})
