/** What webhooks ask of a database (`src/webhooks/storage.ts`), on every storage. */
import test, { type ExecutionContext } from 'ava'
import type { Storage } from '../../src/storage/storage.ts'
import { maxWebhooks, type Webhook } from '../../src/webhooks/webhook.ts'
import { startTime as start } from '../_server.ts'
import { storages } from '../_storages.ts'
import { auditTypes, event } from './_records.ts'

function contract(title: string, run: (t: ExecutionContext, storage: Storage) => Promise<void>) {
  for (const [name, open] of Object.entries(storages)) {
    test(`${name}: ${title}`, async t => run(t, await open(t)))
  }
}

const webhook = (id: string, changes: Partial<Webhook> = {}): Webhook => ({
  id,
  url: `https://${id}.example.com/`,
  types: [],
  secrets: ['a1.x'],
  createdAt: start,
  disabledAt: undefined,
  after: undefined,
  attempts: 0,
  failingSince: undefined,
  nextAttemptAt: undefined,
  lastError: undefined,
  failedAt: undefined,
  ...changes,
})

contract(
  'createWebhook keeps every member, and absent ones stay absent; the list is in the order of their time',
  async (t, storage) => {
    const whole = webhook('b', {
      types: ['user', 'session.reused'],
      secrets: ['a2.y', 'a1.x'],
      createdAt: start + 1,
      disabledAt: start + 2,
      after: { id: 2 ** 40, at: start },
      attempts: 3,
      failingSince: start + 3,
      nextAttemptAt: start + 4,
      lastError: 'it answered 500',
      failedAt: start + 5,
    })
    t.true(await storage.createWebhook(whole, event('webhook.created')))
    t.true(await storage.createWebhook(webhook('z'), event('webhook.created')))
    t.deepEqual(await storage.listWebhooks(), [webhook('z'), whole])
    t.deepEqual(await auditTypes(storage), ['webhook.created', 'webhook.created'])
  },
)

contract(
  'there are only so many webhooks, also of those that are added at once; one that is beyond leaves no event',
  async (t, storage) => {
    const created = await Promise.all(
      Array.from({ length: maxWebhooks + 3 }, (_, i) =>
        storage.createWebhook(webhook(`w${i}`), event('webhook.created')),
      ),
    )
    t.is(created.filter(Boolean).length, maxWebhooks)
    t.is((await storage.listWebhooks()).length, maxWebhooks)
    t.is((await auditTypes(storage)).length, maxWebhooks)
  },
)

contract(
  'changeWebhook writes what is decided with its event, or removes, or leaves all as it is; what is thrown undoes everything',
  async (t, storage) => {
    await storage.createWebhook(webhook('a'), event('webhook.created'))
    const disabled = webhook('a', { disabledAt: start })
    const outcome = await storage.changeWebhook('a', () => ({
      outcome: 7,
      webhook: disabled,
      event: event('webhook.disabled'),
    }))
    t.is(outcome, 7)
    t.deepEqual(await storage.changeWebhook('a', found => ({ outcome: found })), disabled)
    t.is(await storage.changeWebhook('b', found => ({ outcome: found })), undefined)
    await t.throwsAsync(
      storage.changeWebhook('a', () => {
        throw new RangeError('no')
      }),
      { instanceOf: RangeError },
    )
    t.deepEqual(await storage.listWebhooks(), [disabled])
    await storage.changeWebhook('a', () => ({ outcome: 0, remove: true, event: event('webhook.removed') }))
    t.deepEqual(await storage.listWebhooks(), [])
    t.deepEqual((await auditTypes(storage)).toSorted(), ['webhook.created', 'webhook.disabled', 'webhook.removed'])
  },
)

contract('a lease is one holder’s until it has run out or is ended, and each name has its own', async (t, storage) => {
  const take = (holder: string, now: number, name = 'a') =>
    storage.takeLease(name, holder, start + now, start + now + 30)
  const taken = await Promise.all(['x', 'y', 'z'].map(holder => take(holder, 0)))
  t.is(taken.filter(Boolean).length, 1)
  const [holder, other] = taken[0] ? ['x', 'y'] : taken[1] ? ['y', 'x'] : ['z', 'x']
  t.deepEqual([await take(holder, 20), await take(other, 49)], [true, false])
  t.true(await take(other, 20, 'b'))
  t.deepEqual([await take(other, 50), await take(holder, 51)], [true, false])
  await storage.endLease('a', holder)
  t.false(await take(holder, 51))
  await storage.endLease('a', other)
  t.true(await take(holder, 51))
})
