/** Mails on their way, from the outbox to a real mail server: each once, whatever happens to the server, the database, the clock or the node. */
import test from 'ava'
import { auditEvent } from '../../src/audit/audit.ts'
import { createMail, type Mail, type MailPurpose } from '../../src/mail/mail.ts'
import { createDatabase } from '../_databases.ts'
import { freePort } from '../_process.ts'
import {
  createClock,
  issuer,
  type ServerOptions,
  startServer,
  startTime,
  type TestContext,
  type TestServer,
} from '../_server.ts'
import { startSmtp } from '../_smtp.ts'
import { parseMetrics } from '../metrics/_scrape.ts'

const [minute, day] = [60, 86_400]

/** A server with alice, and what is to be mailed by it. */
async function start(t: TestContext, options: ServerOptions = {}) {
  const smtp = await startSmtp(t)
  const lines: string[] = []
  const server = await startServer(t, { smtp, onLog: line => lines.push(line), ...options })
  const aliceId = options.beside ? undefined : await server.addUser({ email: 'alice@example.com' })
  return {
    ...server,
    smtp,
    aliceId,
    lines,
    add: (purpose: MailPurpose, given: Partial<Mail>) => add(server, purpose, given),
    waiting: async () => (await server.deps.storage.measureMails()).count,
  }
}

async function add(server: TestServer, purpose: MailPurpose, given: Partial<Mail>): Promise<Mail> {
  const mail = { ...createMail(purpose, given, server.deps), ...given }
  if (!(await server.deps.storage.addMail(mail))) throw new Error('the outbox is full')
  return mail
}

/** Whom invitations were sent to, in any order. */
const addressees = ({ received }: { received: readonly { to: readonly string[] }[] }) =>
  received.flatMap(({ to }) => to).toSorted()

const guests = (count: number, at = 'example.com') => Array.from({ length: count }, (_, i) => `guest${100 + i}@${at}`)

test('what waits is sent once, to the address that its user has when it is sent, and its row goes', async t => {
  const server = await start(t)
  const { id } = await server.add('password_changed', { userId: server.aliceId })
  const event = auditEvent('user.updated', server.clock.now(), {})
  await server.deps.storage.updateUser(server.aliceId!, { email: 'alice@example.org' }, event)
  for (const address of guests(10)) await server.add('invitation', { address })
  await server.sendMails()
  await server.sendMails()
  t.deepEqual(addressees(server.smtp), ['alice@example.org', ...guests(10)])
  t.is(await server.waiting(), 0)
  const mail = server.smtp.received.find(({ to }) => to[0] === 'alice@example.org')!
  t.is(mail.headers.get('message-id'), `<${id}@auth.example.com>`)
  t.is(mail.headers.get('from'), '"auth.example.com" <accounts@example.com>')
  const metrics = parseMetrics((await (await server.startAdmin()).request('/metrics')).body)
  t.is(metrics.get('latchkey_mails_total{purpose="invitation",outcome="sent"}'), 10)
})

test('a mail for nobody goes nowhere, and nobody is connected to for it; so do those of users who are gone or have no address', async t => {
  const server = await start(t)
  const bobId = await server.addUser({ username: 'bob' })
  const [carolId, daveId] = [
    await server.addUser({ username: 'carol', email: 'carol@example.com' }),
    await server.addUser({ username: 'dave', email: 'dave@example.com', disabledAt: startTime }),
  ]
  await server.add('password_reset', {})
  await server.add('password_reset', { userId: bobId })
  await server.add('password_reset', { userId: daveId })
  await server.add('password_changed', { userId: carolId })
  await server.deps.storage.removeUser(carolId, auditEvent('user.removed', startTime, {}))
  await server.sendMails()
  t.is(server.smtp.connections.count, 0)
  t.is(await server.waiting(), 0)
  await server.add('password_reset', { userId: server.aliceId })
  await server.sendMails()
  t.deepEqual(addressees(server.smtp), ['alice@example.com'])
})

test('a server that is away for a day gets all mails once when it is back, and is asked by few of them meanwhile', async t => {
  const port = await freePort()
  const server = await start(t, { smtp: { port } })
  for (const address of guests(30)) await server.add('invitation', { address })
  const sendFor = async (seconds: number, step: number) => {
    for (let passed = 0; passed < seconds; passed += step) {
      server.clock.advance(step)
      await server.sendMails()
    }
  }
  await server.sendMails()
  await sendFor(day, 30 * minute)
  t.is(await server.waiting(), 30)
  t.is(server.lines.filter(line => line.includes('the mail server takes no mails')).length, 1)
  t.false(server.lines.some(line => line.includes('guest')))
  const { lastError } = await server.deps.storage.measureMails()
  t.is(lastError, 'it cannot be reached: ECONNREFUSED')

  const smtp = await startSmtp(t, { port })
  await sendFor(90 * minute, 10 * minute)
  t.deepEqual(addressees(smtp), guests(30))
  t.is(await server.waiting(), 0)
})

test('after two days a mail is given up, and the audit trail tells', async t => {
  const server = await start(t, { smtp: { port: await freePort() } })
  await server.add('password_reset', { userId: server.aliceId })
  // However late it is: no attempt was made meanwhile.
  server.clock.advance(3 * day)
  for (let attempts = 1; attempts < 10; attempts++) {
    await server.sendMails()
    t.is(await server.waiting(), 1, `${attempts}`)
    server.clock.advance(3601)
  }
  await server.sendMails()
  t.is(await server.waiting(), 0)
  const [event] = await server.deps.storage.listAuditEvents(1)
  t.like(event, {
    type: 'mail.given_up',
    userId: server.aliceId,
    detail: 'password_reset: it cannot be reached: ECONNREFUSED',
  })
})

test('a refused address is given up at once and holds up nobody; one that is put off (greylisting) comes later, once', async t => {
  const server = await start(t)
  const grey = new Set<string>()
  server.smtp.behaviour.refuse = address => {
    if (address.startsWith('gone')) return 550
    const isNew = !grey.has(address) && address.startsWith('grey')
    grey.add(address)
    return isNew ? 451 : undefined
  }
  const addresses = ['gone@example.com', 'grey@example.com', ...guests(5)]
  for (const address of addresses) await server.add('invitation', { address })
  await server.sendMails()
  t.deepEqual(addressees(server.smtp), guests(5))
  t.is(await server.waiting(), 1)
  const [event] = await server.deps.storage.listAuditEvents(1)
  t.like(event, { type: 'mail.given_up', detail: 'invitation: the mail server refuses the address (550)' })
  t.false(server.lines.some(line => line.includes('gone@')))
  server.clock.advance(minute)
  await server.sendMails()
  await server.sendMails()
  t.deepEqual(addressees(server.smtp), ['grey@example.com', ...guests(5)].toSorted())
})

test('a clock that was set back or forward by a year loses no mail, and sends none twice', async t => {
  for (const jump of [-365 * day, 365 * day]) {
    const server = await start(t, { clock: createClock() })
    server.smtp.behaviour.refuse = () => 451
    await server.add('invitation', { address: 'alice@example.com' })
    await server.sendMails()
    server.clock.advance(jump)
    server.smtp.behaviour.refuse = () => undefined
    await server.add('invitation', { address: 'bob@example.com' })
    for (let i = 0; i < 3; i++) await server.sendMails()
    t.deepEqual(addressees(server.smtp), ['alice@example.com', 'bob@example.com'], `${jump}`)
    t.is(await server.waiting(), 0)
  }
})

test('of two nodes on one database one sends, and each mail is sent once; the other goes on when that one has stopped', async t => {
  const database = await createDatabase(t)
  const one = await start(t, { storage: await database.open() })
  const two = await startServer(t, {
    smtp: one.smtp,
    storage: await database.open(),
    clock: one.clock,
    beside: { signingKey: one.signingKey },
  })
  for (const address of guests(40)) await one.add('invitation', { address })
  await Promise.all([one, two, one, two].map(server => server.sendMails()))
  t.deepEqual(addressees(one.smtp), guests(40))

  await one.mails!.stop()
  for (const address of guests(5, 'example.org')) await one.add('invitation', { address })
  await one.sendMails()
  t.is(one.smtp.received.length, 40)
  await two.sendMails()
  t.deepEqual(addressees(one.smtp), [...guests(40), ...guests(5, 'example.org')].toSorted())
})

test('a node that ends between a mail and its row sends it once more, with the same id; a stop breaks off and leaves it to the next', async t => {
  const database = await createDatabase(t)
  const storage = await database.open()
  let ends = true
  // What a power cut is for the database: the row stays.
  const failing = {
    ...storage,
    removeMail: async (...given: Parameters<typeof storage.removeMail>) => {
      if (ends) throw new Error('the power is cut')
      return storage.removeMail(...given)
    },
  }
  const one = await start(t, { storage: failing })
  const { id } = await one.add('invitation', { address: 'alice@example.com' })
  await one.sendMails()
  t.is(one.smtp.received.length, 1)
  const two = await startServer(t, {
    smtp: one.smtp,
    storage: await database.open(),
    clock: one.clock,
    beside: { signingKey: one.signingKey },
  })
  one.clock.advance(minute)
  await two.sendMails()
  one.clock.advance(minute)
  await two.sendMails()
  t.deepEqual(
    one.smtp.received.map(({ headers }) => headers.get('message-id')),
    Array(2).fill(`<${id}@auth.example.com>`),
  )
  t.is(await one.waiting(), 0)
  ends = false

  one.smtp.behaviour.hold = () => new Promise(() => {})
  await two.mails!.stop()
  await one.add('invitation', { address: 'bob@example.com' })
  await one.mails!.step()
  await one.mails!.stop()
  t.is(await one.waiting(), 1)
  one.smtp.behaviour.hold = async () => {}
  const three = await startServer(t, {
    smtp: one.smtp,
    storage: await database.open(),
    clock: one.clock,
    beside: { signingKey: one.signingKey },
  })
  await three.sendMails()
  t.deepEqual(one.smtp.received.at(-1)!.to, ['bob@example.com'])
})

test('a mail that was sent is not sent again where only the database took no word of it', async t => {
  const database = await createDatabase(t)
  const storage = await database.open()
  let isBroken = true
  const failing = {
    ...storage,
    removeMail: async (...given: Parameters<typeof storage.removeMail>) => {
      if (isBroken) throw new Error('no space left')
      return storage.removeMail(...given)
    },
  }
  const server = await start(t, { storage: failing })
  await server.add('invitation', { address: 'alice@example.com' })
  await server.sendMails()
  for (let i = 0; i < 3; i++) {
    server.clock.advance(3600)
    await server.sendMails()
  }
  isBroken = false
  server.clock.advance(3600)
  await server.sendMails()
  t.is(server.smtp.received.length, 1)
  t.is(await server.waiting(), 0)
})

test('link and code are made when the mail is sent, and no row, log line or header has one; the link leads to the issuer', async t => {
  const server = await start(t)
  const challengeId = Buffer.alloc(16, 7).toString('base64url')
  await server.add('password_reset', { userId: server.aliceId, about: { challenge_id: challengeId } })
  const row = JSON.stringify(await server.deps.storage.listDueMails(server.clock.now(), 10))
  await server.sendMails()
  const [mail] = server.smtp.received
  t.true(mail!.link!.startsWith(`${issuer}/mail/password_reset?token=lkm_`))
  t.regex(mail!.code!, /^\d{8}$/)
  const token = mail!.link!.split('token=')[1]!
  for (const place of [row, ...server.lines, [...mail!.headers.values()].join('\n')]) {
    t.false(place.includes(token))
    t.false(place.includes(mail!.code!))
  }
  t.true(mail!.html.includes(`href="${mail!.link}"`))
})

test('who signs up with an address that has an account is told so instead, in the language of the account', async t => {
  const server = await start(t)
  const challengeId = Buffer.alloc(16, 7).toString('base64url')
  for (const address of ['Alice@Example.com', 'bob@example.com'])
    await server.add('sign_up', { address, language: 'en', about: { challenge_id: challengeId } })
  await server.sendMails()
  const [known, unknown] = ['Alice@example.com', 'bob@example.com'].map(address =>
    server.smtp.received.find(({ to }) => to[0] === address),
  )
  t.regex(known!.subject, /already/)
  t.deepEqual([known!.link, known!.code], [undefined, undefined])
  t.regex(unknown!.link!, /\/mail\/sign_up\?token=lkm_/)
  t.regex(unknown!.code!, /^\d{8}$/)
})
