/** What the texts that people give may be, and that every door asks the same rules: HTTP, command line, import, first start. */
import test from 'ava'
import fc from 'fast-check'
import { maxUsername, readFullName, readLabel, readUsername, usernameFold, usernameKey } from '../../src/text.ts'
import { password, refusal, refused, startServerWithAlice } from '../_server.ts'

/** Letters with every kind of case mapping and width, marks, joiners, white space, and what nobody sees. */
const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom(...'aAäßẞσςİıiKſﬁ㎼ｆＦﾞ가가ㄱ \u00a0\u3000\u200b\u200d\u3164\u00ad\ufe0f\u0301\u0345علn'),
  }),
)

const compatible = (text: string) => [
  text.normalize('NFKC'),
  text.normalize('NFKD'),
  text.normalize('NFC').toUpperCase(),
  // Letters of ASCII in full width.
  text.replace(/[!-~]/g, letter => String.fromCodePoint(letter.charCodeAt(0) + 0xfee0)),
]

test('property: the form in which new names are compared is one for all cases, widths and invisible characters, and its own', t => {
  fc.assert(
    fc.property(texts, text => {
      const fold = usernameFold(text)
      const variants = [
        fold,
        usernameKey(text),
        text.normalize('NFC'),
        text.normalize('NFD'),
        ` ${text}\u3000`,
        `\u3164${text}\ufeff`,
        // Unicode's own NFKC_Casefold makes the iota below a letter one beside it before it looks for compatible marks.
        ...(text.normalize('NFD').includes('\u0345') ? [] : compatible(text)),
      ]
      for (const variant of variants) if (usernameFold(variant) !== fold) t.is(usernameFold(variant), fold, variant)
    }),
    { numRuns: 5000 },
  )
  t.pass()
})
test('every character is its own form when it is one already, with its cases and its compatibility forms', t => {
  const differing = []
  for (let code = 1; code < 0x30000; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue
    const letter = String.fromCodePoint(code)
    const forms = [letter, usernameFold(letter), letter.toLowerCase(), letter.toUpperCase(), letter.normalize('NFKD')]
    if (new Set(forms.map(usernameFold)).size > 1) differing.push(`U+${code.toString(16)}`)
  }
  t.deepEqual(differing, [])
})

test('names that look the same are compared as one: ß and ss, ſ and s, ligatures, widths; the Turkish ı is i, and İ an i with a dot', t => {
  for (const [one, other] of [
    ['straße', 'STRASSE'],
    ['ſam', 'sam'],
    ['ﬁona', 'fiona'],
    ['ａｄｍｉｎ', 'admin'],
    ['admin\u3164', 'admin'],
    ['Kelvin', 'kelvin'],
    ['ﾊﾝ', 'ハン'],
    ['a\u00a0 b', 'a b'],
    ['ısparta', 'isparta'],
    ['İzmir', 'i\u0307zmir'],
  ] as const)
    t.is(usernameFold(one), usernameFold(other), one)
  for (const [one, other] of [
    ['İzmir', 'izmir'],
    ['emile', 'émile'],
    ['a', 'а'],
    ['ab', 'a b'],
  ] as const)
    t.not(usernameFold(one), usernameFold(other), one)
})

test('a new username has nothing that cannot be seen: fillers, other spaces, controls, private use, unassigned, lone joiners', t => {
  for (const hidden of [
    '\u3164',
    '\u115f',
    '\u1160',
    '\uffa0',
    '\u2800',
    '\u034f',
    '\u180e',
    '\u200b',
    '\u200d',
    '\u200c',
    '\u2060',
    '\u00ad',
    '\ufe0f',
    '\u{e0100}',
    '\u{e0041}',
    '\u00a0',
    '\u2003',
    '\u202f',
    '\u3000',
    '\u1680',
    '\u2028',
    '\u2029',
    '\u202e',
    '\u2066',
    '\u0085',
    '\u009b',
    '\u001b',
    '\ue000',
    '\u0378',
    '\ud800',
    '\ufffd',
    '\ufffc',
  ]) {
    const code = hidden.codePointAt(0)!.toString(16)
    for (const text of [hidden, `admin${hidden}`, `ad${hidden}min`, `${hidden}admin`])
      t.truthy(readUsername(text).problem, `U+${code}`)
  }
  t.is(readUsername('ad\u200bmin').problem, 'has a character that cannot be seen: U+200B')
  for (const wide of ['ａｄｍｉｎ', 'admin１', 'ﾊﾝ', 'a＠b'])
    t.is(readUsername(wide).problem, 'has letters of full or half width, which look like the usual ones')
  t.truthy(readUsername('\u0301a').problem)
  for (const good of ['admin', 'José', '김철수', '山田 太郎', 'Ольга', 'ㅋㅋ', "o'neill", 'a.b+c@example.com', '😀'])
    t.is(readUsername(good).text, good)
})

test('joiners are for scripts that need them, between their letters (RFC 5892 appendix A.1, A.2)', t => {
  for (const good of ['علی\u200cرضا', 'क्\u200dष', 'ශ්\u200dරී']) t.is(readUsername(good).text, good)
  for (const bad of ['a\u200db', '\u200cعلی', 'علی\u200c', 'علی\u200c\u200cرضا', 'علی\u200ca', '👨\u200d👩'])
    t.truthy(readUsername(bad).problem, JSON.stringify(bad))
})

test('property: a username that is taken is taken again as it is, shows something, and is short', t => {
  fc.assert(
    fc.property(texts, given => {
      const { text } = readUsername(given)
      if (text === undefined) return true
      return readUsername(text).text === text && usernameFold(text) !== '' && [...text].length <= maxUsername
    }),
    { numRuns: 5000 },
  )
  t.pass()
})

test('a full name is one line in NFC, of 256 characters at most, without what steers a terminal or the order of letters', t => {
  t.is(readFullName('  Zoe\u0308\t van\u00a0\nDijk ').text, 'Zo\u00eb van Dijk')
  for (const good of ['علی\u200cرضا', 'Ann 👩\u200d💻', 'Müller-Lüdenscheidt, Dr.', 'x'.repeat(256)])
    t.is(readFullName(good).text, good)
  t.is(readFullName('\u200eדוד\u200f').text, 'דוד')
  for (const bad of ['a\u001b[2J', 'a\u009b', 'a\u202eb', 'a\u2066b', 'a\ud800', 'a\ufffd', '\u3164', 'x'.repeat(257)])
    t.truthy(readFullName(bad).problem, JSON.stringify(bad))
})

test('property: a label is one short line of whole characters, whatever a device or a program calls itself', t => {
  fc.assert(
    fc.property(fc.oneof(texts, fc.string({ unit: 'grapheme', size: 'max', maxLength: 300 })), given => {
      const label = readLabel(given, 64)
      if (label === undefined) return
      t.true(label.length > 0 && label.length <= 64 && label.isWellFormed())
      t.notRegex(label.replace(/[\u200c\u200d]/g, ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
      t.is(label.trim(), label)
    }),
    { numRuns: 2000 },
  )
  t.is(readLabel('Alice’s\u2028phone\u202e \u001b[1m', 64), 'Alice’s phone [1m')
  t.is(readLabel(`${'x'.repeat(60)}👨‍👩‍👧‍👦`, 64), 'x'.repeat(60), 'a family stays together')
  t.is(readLabel(`${'x'.repeat(63)}e\u0301`, 64), 'x'.repeat(63))
  t.is(readLabel('\u0000\u200b ', 64), undefined)
})

test('white space that a keyboard puts around a username is no part of it, at /token as at /login; of a password it is', async t => {
  const server = await startServerWithAlice(t)
  const token = (username: string, secret = password) =>
    server.token({ grant_type: 'password', client_id: 'app', username, password: secret })
  const login = (username: string, secret = password) => server.post('/login', { username, password: secret })
  for (const spelling of ['alice', 'alice ', ' alice', 'alice\u00a0', '\u3000alice\t', 'Alice\u2003', 'ａlice\u200b']) {
    t.is((await token(spelling)).status, 200, JSON.stringify(spelling))
    t.is((await login(spelling)).status, 200, JSON.stringify(spelling))
  }
  t.is((await token('ali ce')).status, 400)
  t.is((await token('alice', `${password} `)).status, 400)
  t.is((await login('alice', ` ${password}`)).status, 401)
})

test('half a character in JSON is refused, in any member of any body (RFC 8259 §8.2)', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  const send = (method: string, path: string, body: string | Buffer) =>
    server.request(path, {
      method,
      body: new Uint8Array(Buffer.from(body)),
      headers: { ...server.bearer(access_token), 'content-type': 'application/json' },
    })
  const login = (body: string | Buffer) => send('POST', '/login', body)
  for (const body of [
    `{"username":"alice\\ud800","password":"${password}"}`,
    `{"username":"alice","password":"${password}","return_to":"/\\udc00"}`,
    `{"username":"alice","password":"${password}","other":"\\udc00\\ud800"}`,
    `{"username":"alice","password":"${password}","\\ud800":"x"}`,
    Buffer.from(`{"username":"alice","password":"${password}\xff"}`, 'latin1'),
  ])
    t.deepEqual(refusal(await login(body)), refused(400, 'invalid_request'), String(body))
  const change = `{"current_password":"${password}","new_password":"seven lamps \\ud800 over"}`
  t.deepEqual(refusal(await send('PUT', '/users/me/password', change)), refused(400, 'invalid_request'))
  t.is((await login(`{"username":"alice","password":"${password}","return_to":"/\\ud83d\\ude00"}`)).status, 200)
})

test('a new password that could not have been typed is refused: U+FFFD stands for bytes that were lost', async t => {
  const server = await startServerWithAlice(t)
  const { access_token } = await server.signIn()
  const change = (newPassword: string) =>
    server.request('/users/me/password', {
      method: 'PUT',
      headers: server.bearer(access_token),
      body: new URLSearchParams({ current_password: password, new_password: newPassword }),
    })
  t.is((await change('seven lamps \ufffd the harbour')).status, 400)
  t.is((await change('seven lamps ö the harbour')).status, 200)
})

test('what a device and a program call themselves is kept as one line, cut between characters', async t => {
  const server = await startServerWithAlice(t)
  const agent = Buffer.from('App/1 \u009b2J caf\u00e9', 'latin1').toString('latin1')
  await server.token(
    {
      grant_type: 'password',
      client_id: 'app',
      username: 'alice',
      password,
      device: `\u001b]0;x\u2028${'👩‍💻'.repeat(20)}\u202e`,
    },
    { 'user-agent': agent },
  )
  const [session] = await server.deps.storage.listLiveSessions({ userId: server.aliceId }, server.clock.now(), 10)
  t.is(session?.device, `]0;x ${'👩‍💻'.repeat(11)}`)
  t.is(session?.userAgent, 'App/1 2J café')
})
