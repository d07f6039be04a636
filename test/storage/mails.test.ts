/** What mails ask of a database (`src/mail/storage.ts`), on every storage. */
import test, { type ExecutionContext } from 'ava'
import { createMail, type Mail, maxMailDelay, maxMails, maxMailsBesideNotices } from '../../src/mail/mail.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { createTestRandom, startTime as start } from '../_server.ts'
import { storages } from '../_storages.ts'
import { auditTypes, event } from './_records.ts'

function contract(title: string, run: (t: ExecutionContext, storage: Storage) => Promise<void>) {
  for (const [name, open] of Object.entries(storages)) {
    test(`${name}: ${title}`, async t => run(t, await open(t)))
  }
}

const randomBytes = createTestRandom('mails')
const mail = (changes: Partial<Mail> = {}): Mail => ({
  ...createMail('password_reset', {}, { now: () => start, randomBytes }),
  ...changes,
})

contract('addMail keeps every member, and absent ones stay absent', async (t, storage) => {
  const whole = mail({
    userId: 'usr_a',
    address: 'alice@example.com',
    language: 'ko',
    about: { challenge: 'x' },
    nextAttemptAt: start - 1,
    attempts: 2,
    lastError: '451 later',
  })
  const bare = mail()
  t.true(await storage.addMail(whole))
  t.true(await storage.addMail(bare))
  t.deepEqual(await storage.listDueMails(start, 10), [whole, bare])
  t.deepEqual(await storage.measureMails(), { count: 2, oldestAt: start, lastError: '451 later' })
})

contract(
  'addMail records the event of what it is for along with the mail, and none where there is no room',
  async (t, storage) => {
    t.true(await storage.addMail(mail(), event('user.invited')))
    t.deepEqual(await auditTypes(storage), ['user.invited'])
  },
)

contract(
  'listDueMails has those whose time has come, the one that has waited longest first, and no more than asked for',
  async (t, storage) => {
    for (const seconds of [2, -1, 0, 1, -2])
      await storage.addMail(mail({ id: `m${seconds}`, nextAttemptAt: start + seconds }))
    t.deepEqual(
      (await storage.listDueMails(start, 10)).map(({ id }) => id),
      ['m-2', 'm-1', 'm0'],
    )
    t.deepEqual(
      (await storage.listDueMails(start, 1)).map(({ id }) => id),
      ['m-2'],
    )
  },
)

contract('a mail that a clock wrote which has been set back since has its time at once', async (t, storage) => {
  await storage.addMail(mail({ id: 'ahead', nextAttemptAt: start + maxMailDelay + 1 }))
  await storage.addMail(mail({ id: 'put off', nextAttemptAt: start + maxMailDelay }))
  t.deepEqual(
    (await storage.listDueMails(start, 10)).map(({ id }) => id),
    ['ahead'],
  )
})

contract('a mail that is put off comes again at its time; one that is gone stays gone', async (t, storage) => {
  await storage.addMail(mail({ id: 'a' }))
  await storage.putOffMail({ id: 'a', nextAttemptAt: start + 60, attempts: 1, lastError: 'no answer' })
  await storage.putOffMail({ id: 'b', nextAttemptAt: start, attempts: 1, lastError: 'no answer' })
  t.deepEqual(await storage.listDueMails(start + 59, 10), [])
  const [later, ...others] = await storage.listDueMails(start + 60, 10)
  t.deepEqual(others, [])
  t.like(later, { id: 'a', attempts: 1, lastError: 'no answer', nextAttemptAt: start + 60 })
})

contract('removeMail of two at once removes it once, with its event once', async (t, storage) => {
  await storage.addMail(mail({ id: 'a' }))
  const removed = await Promise.all([1, 2].map(() => storage.removeMail('a', event('mail.given_up'))))
  t.deepEqual(removed.toSorted(), [false, true])
  t.deepEqual(await auditTypes(storage), ['mail.given_up'])
  t.deepEqual(await storage.measureMails(), { count: 0, oldestAt: undefined, lastError: undefined })
})

contract('there are only so many mails that nobody signed in has caused (CWE-770)', async (t, storage) => {
  const mails = Array.from({ length: maxMails }, () => mail())
  await storage.changeUser('usr_none', () => ({ outcome: undefined, mails }))
  t.false(await storage.addMail(mail()))
  const [{ id }] = (await storage.listDueMails(start, 1)) as [Mail]
  await storage.removeMail(id)
  t.true(await storage.addMail(mail()))
})

contract('a change of a user writes its mails with it, or not at all', async (t, storage) => {
  const one = mail({ address: 'old@example.com' })
  t.true(await storage.changeUser('usr_none', () => ({ outcome: true, mails: [one] })))
  await t.throwsAsync(
    storage.changeUser('usr_none', () => {
      throw new Error('no')
    }),
  )
  t.deepEqual(await storage.listDueMails(start, 10), [one])
})

contract(
  'moveTrailReader moves a reader from where it is, with the mails that come of it; from elsewhere it writes nothing',
  async (t, storage) => {
    const [first, second, third] = [1, 2, 3].map(id => ({ id, at: start + id }))
    t.is(await storage.findTrailReader('notices'), undefined)
    t.false(await storage.moveTrailReader('notices', first, second!, [mail()]))
    t.true(await storage.moveTrailReader('notices', undefined, first!, []))
    t.false(await storage.moveTrailReader('notices', undefined, second!, [mail()]))
    t.false(await storage.moveTrailReader('notices', { id: 1, at: start }, second!, [mail()]))
    t.deepEqual(await storage.findTrailReader('notices'), first)
    t.is((await storage.measureMails()).count, 0)
    const moved = await Promise.all(
      [1, 2, 3].map(() => storage.moveTrailReader('notices', first, second!, [mail(), mail()])),
    )
    t.deepEqual(moved.filter(Boolean), [true])
    t.deepEqual(await storage.findTrailReader('notices'), second)
    t.is((await storage.measureMails()).count, 2)
    t.is(await storage.findTrailReader('others'), undefined)
    t.true(await storage.moveTrailReader('notices', second, third!, []))
  },
)

contract(
  'half as many mails as there may be leave no room for notices, and what was read is read again',
  async (t, storage) => {
    const place = { id: 1, at: start }
    await storage.moveTrailReader(
      'notices',
      undefined,
      place,
      Array.from({ length: maxMailsBesideNotices }, () => mail()),
    )
    const next = { id: 2, at: start }
    t.false(await storage.moveTrailReader('notices', place, next, [mail()]))
    t.true(await storage.addMail(mail()))
    t.deepEqual(await storage.findTrailReader('notices'), place)
    t.true(await storage.moveTrailReader('notices', place, next, []))
  },
)
