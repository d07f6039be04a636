/** Handing a mail over, against a real mail server: to one recipient and nobody else, in bounded time, and what each failure means. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import test from 'ava'
import fc from 'fast-check'
import { createSmtp, type Letter, type SmtpSettings, smtpLimits } from '../../src/mail/smtp.ts'
import { readEmail } from '../../src/users/email.ts'
import { testWith } from '../_cluster.ts'
import { createFolder, freePort } from '../_process.ts'
import type { TestContext } from '../_server.ts'
import { startSmtp, type TestSmtp } from '../_smtp.ts'

const letter: Letter = {
  id: 'one-and-the-same-id-22',
  address: 'alice@example.com',
  language: 'ko',
  subject: '비밀번호를 다시 정하는 링크를 보내 드려요. 제목이 이렇게 길어도 한 줄로 읽혀요',
  text: `안녕하세요.\n\nhttps://auth.example.com/mail/password_reset?token=lkm_${'a'.repeat(200)}\n\n12345678\n`,
  html: '<p>안녕하세요.</p>',
}
const stop = () => new AbortController().signal

function connect(
  t: TestContext,
  { port }: Pick<TestSmtp, 'port'>,
  more: Partial<SmtpSettings['server']> = {},
  limits = smtpLimits,
) {
  const smtp = createSmtp(
    {
      server: { host: '127.0.0.1', port, tls: 'optional', ...more },
      from: { name: 'Example, Inc.', address: 'accounts@example.com' },
      issuer: 'https://auth.example.com/below',
    },
    limits,
  )
  t.teardown(smtp.close)
  return smtp
}

test('a mail arrives as it was written, and says that no robot is to answer (RFC 3834 §5)', async t => {
  const server = await startSmtp(t)
  const smtp = connect(t, server)
  for (let i = 0; i < 2; i++) t.deepEqual(await smtp.send(letter, stop()), { kind: 'sent' })
  const [mail, again] = server.received
  t.like(mail, {
    from: 'accounts@example.com',
    to: ['alice@example.com'],
    subject: letter.subject,
    text: letter.text,
    html: letter.html,
    link: `https://auth.example.com/mail/password_reset?token=lkm_${'a'.repeat(200)}`,
    code: '12345678',
  })
  t.is(mail!.headers.get('from'), '"Example, Inc." <accounts@example.com>')
  t.is(mail!.headers.get('to'), 'alice@example.com')
  t.is(mail!.headers.get('auto-submitted'), 'auto-generated')
  t.is(mail!.headers.get('x-auto-response-suppress'), 'All')
  t.is(mail!.headers.get('content-language'), 'ko')
  t.true(Math.abs(Date.parse(mail!.headers.get('date')!) - Date.now()) < 60_000)
  // Who gets the same mail twice can tell.
  t.is(mail!.headers.get('message-id'), '<one-and-the-same-id-22@auth.example.com>')
  t.is(again!.headers.get('message-id'), mail!.headers.get('message-id'))
  t.is(server.connections.count, 1, 'the second one went by the connection of the first')
})

test('whatever stands where an address belongs, it is one recipient or none, and never another one', async t => {
  const server = await startSmtp(t)
  const smtp = connect(t, server)
  const piece = fc.constantFrom(
    ...[
      'alice',
      'evil',
      '@',
      'example.com',
      'e.com',
      ',',
      ';',
      ':',
      '<',
      '>',
      '"',
      '(',
      ')',
      '\\',
      ' ',
      '\t',
      '\r\n',
      '\n',
      '\r',
      '\0',
    ],
    ...[
      'Bcc: evil@e.com',
      'group:',
      'RCPT TO:<evil@e.com>',
      '%',
      '!',
      '.',
      '[127.0.0.1]',
      'ä',
      '＠',
      '，',
      'é',
      '\u202e',
      '\u200b',
      '=?utf-8?Q?',
      '?=',
    ],
  )
  const hostile = [
    'a@b.c,evil@e.com',
    'a@b.c, evil@e.com',
    'a@b.c;evil@e.com',
    'a@b.c\r\nBcc: evil@e.com',
    'a@b.c\r\nRCPT TO:<evil@e.com>',
    'a@b.c>\r\nRCPT TO:<evil@e.com',
    'group:a@b.c,evil@e.com;',
    'Alice <evil@e.com>',
    '<evil@e.com>',
    '"a@b.c" <evil@e.com>',
    '(a) evil@e.com',
    '"evil@e.com"@b.c',
    `${'a'.repeat(300)}@b.c`,
    'evil@e.com@b.c',
    'a@b.c evil@e.com',
  ]
  const arrives = async (address: string) => {
    const before = server.received.length
    const sending = await smtp.send({ ...letter, address }, stop())
    const came = server.received.slice(before)
    if (sending.kind !== 'sent') return t.deepEqual(came, [], JSON.stringify(address))
    t.deepEqual(
      came.map(({ to }) => to),
      [[readEmail(address).text!]],
    )
    t.deepEqual([came[0]!.headers.has('bcc'), came[0]!.headers.has('cc')], [false, false])
  }
  for (const address of hostile) {
    await arrives(address)
    t.is(server.received.length, 0, address)
  }
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 7 }), pieces => arrives(pieces.join(''))),
    { numRuns: 300 },
  )
  await arrives('alice+tag@mail.example.com')
  t.deepEqual(server.received.at(-1)!.to, ['alice+tag@mail.example.com'])
})

test('what a refusal means: the address for good, the address or the mail for now, or all mails (RFC 5321 §4.2.1)', async t => {
  const server = await startSmtp(t)
  const smtp = connect(t, server)
  const meaning = async () => {
    const sending = await smtp.send(letter, stop())
    return sending.kind === 'failed' ? { ...sending, reply: undefined } : sending.kind
  }
  const refusing = async (reply: number) => {
    server.behaviour.refuse = () => reply
    return meaning()
  }
  for (const reply of [550, 551, 553]) t.is(await refusing(reply), 'refused', `${reply}`)
  const recipient = (reply: number) => ({
    kind: 'failed',
    error: `the mail server does not take the address now (${reply})`,
    reply: undefined,
    isServer: false,
  })
  // An operator can mend the last two: a relay that wants somebody to sign in, or knows this side not.
  for (const reply of [450, 451, 452, 530, 554]) t.deepEqual(await refusing(reply), recipient(reply))
  server.behaviour.refuse = () => undefined
  for (const reply of [451, 554]) {
    server.behaviour.refuseData = () => reply
    t.deepEqual(await meaning(), { ...recipient(reply), error: `it does not take the mail (${reply})` })
  }
  server.behaviour.refuseData = () => undefined
  t.is(await meaning(), 'sent')
  t.is(server.received.length, 1)
})

test('who has to sign in does, by what the URL says; the password is nowhere in what is said of a failure', async t => {
  const auth = { user: 'apikey@example.com', password: 's3cret:/pass word%' }
  const server = await startSmtp(t, { auth })
  t.is((await connect(t, server, { credentials: auth }).send(letter, stop())).kind, 'sent')
  t.is(await connect(t, server, { credentials: auth }).check(), undefined)
  const wrong = connect(t, server, { credentials: { ...auth, password: 'an0ther' } })
  const refusals = [await wrong.send(letter, stop()), await wrong.check()]
  for (const refusal of refusals) {
    t.like(refusal, { kind: 'failed', error: 'it does not take the user and password (535)', isServer: true })
    t.notRegex(JSON.stringify(refusal), /an0ther|YW4wdGhlc|apikey/)
  }
  const nobody = await connect(t, server).send(letter, stop())
  t.like(nobody, { kind: 'failed', error: 'it does not take mails from that sender (530)', isServer: true })
  // A server that asks nobody to sign in is not the one that was meant.
  const open = await startSmtp(t)
  t.like(await connect(t, open, { credentials: auth }).send(letter, stop()), { kind: 'failed', isServer: true })
  t.is(open.received.length, 0)
})

test('a server that is away or silent, or takes for ever, takes bounded time, and a stop breaks it off', async t => {
  const limits = { ...smtpLimits, connect: 300, greet: 300, answer: 500, all: 900 }
  const away = connect(t, { port: await freePort() }, {}, limits)
  t.like(await away.send(letter, stop()), {
    kind: 'failed',
    error: 'it cannot be reached: ECONNREFUSED',
    isServer: true,
  })
  t.like(await away.check(), { error: 'it cannot be reached: ECONNREFUSED' })
  const unknown = connect(t, { port: 25 }, { host: 'mail.invalid' }, limits)
  t.like(await unknown.check(), { error: 'the name mail.invalid has no address' })

  const silent = await startSmtp(t)
  silent.behaviour.isSilent = true
  t.like(await connect(t, silent, {}, limits).send(letter, stop()), {
    kind: 'failed',
    error: 'it does not answer in time',
    isServer: true,
  })
  t.like(await connect(t, silent, {}, limits).check(), { error: 'it does not answer in time' })

  const slow = await startSmtp(t)
  slow.behaviour.hold = () => new Promise(() => {})
  t.like(await connect(t, slow, {}, limits).send(letter, stop()), {
    kind: 'failed',
    error: 'it does not answer in time',
    isServer: false,
  })
  t.like(await connect(t, slow, {}, { ...limits, answer: 60_000 }).send(letter, stop()), {
    kind: 'failed',
    error: 'it took longer than 0.9 seconds',
    isServer: false,
  })

  const stopping = new AbortController()
  const held = connect(t, slow).send(letter, stopping.signal)
  stopping.abort()
  t.deepEqual(await held, { kind: 'stopped' })
})

const unsafe = { kind: 'failed', isServer: true }
const sendBy = (t: TestContext, server: TestSmtp, tls: 'implicit' | 'required' | 'optional', host = 'localhost') =>
  connect(t, server, { host, tls }).send(letter, stop())

test('nothing goes to another machine unencrypted, or to who only calls itself so (RFC 3207 §5)', async t => {
  const [plain, starttls, implicit] = [
    await startSmtp(t),
    // Nobody trusts their certificate.
    await startSmtp(t, { tls: 'starttls' }),
    await startSmtp(t, { tls: 'implicit' }),
  ]
  t.like(await sendBy(t, plain, 'required'), unsafe)
  for (const sending of [await sendBy(t, starttls, 'required'), await sendBy(t, implicit, 'implicit')]) {
    t.like(sending, unsafe)
    t.regex(JSON.stringify(sending), /there is no safe connection: [A-Z_]+"/)
  }
  // On this machine nobody is between.
  t.like(await sendBy(t, starttls, 'optional'), { kind: 'sent' })
  t.deepEqual(
    [plain, starttls, implicit].map(({ received }) => received.length),
    [0, 1, 0],
  )
})

const openssl = '/usr/bin/openssl'
const testTls = testWith({ openssl })

testTls('a certificate that is trusted, and for the host that is set, is taken', async t => {
  const folder = createFolder(t)
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const names = ['-subj', '/CN=mail', '-addext', 'subjectAltName=DNS:localhost', '-days', '2']
  execFileSync(openssl, ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...names], { stdio: 'pipe' })
  const own = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  const [starttls, implicit] = [
    await startSmtp(t, { ...own, tls: 'starttls' }),
    await startSmtp(t, { ...own, tls: 'implicit' }),
  ]
  t.like(await sendBy(t, starttls, 'required'), unsafe)
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, own.cert])
  t.teardown(() => setDefaultCACertificates(before))
  t.like(await sendBy(t, starttls, 'required'), { kind: 'sent' })
  t.like(await sendBy(t, implicit, 'implicit'), { kind: 'sent' })
  t.like(await sendBy(t, starttls, 'required', '127.0.0.1'), unsafe)
  t.deepEqual(
    [starttls, implicit].map(({ received }) => received.length),
    [1, 1],
  )
})
