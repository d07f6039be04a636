/** The contract of `src/storage/storage.ts`: every verb on every storage. */
import test, { type ExecutionContext } from 'ava'
import { auditEvent } from '../../src/audit/audit.ts'
import { type Client, clientUpdate } from '../../src/clients/client.ts'
import { type RefreshDecision, renewSession } from '../../src/sessions/refresh.ts'
import { firstGeneration, type Session } from '../../src/sessions/session.ts'
import { disabledUpdate, ownPasswordUpdate, passwordUpdate } from '../../src/sessions/user_change.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { User } from '../../src/users/user.ts'
import { startTime as start } from '../_server.ts'
import { findSession, storages } from '../_storages.ts'
import {
  auditCount,
  auditTypes,
  caller,
  client,
  decideSession,
  event,
  ids,
  policy,
  populate,
  refresh,
  session,
  signingKey,
  user,
} from './_records.ts'

/** One test on every storage, each with its own empty one. */
function contract(title: string, run: (t: ExecutionContext, storage: Storage) => Promise<void>) {
  for (const [name, open] of Object.entries(storages)) {
    test(`${name}: ${title}`, async t => run(t, await open(t)))
  }
}

// Users.

contract('createUsers keeps every member, and absent ones stay absent', async (t, storage) => {
  const alice = user('Alice', { email: 'alice@example.com', fullName: 'Alice A.', disabledAt: start + 1 })
  const bob = user('bob')

  t.deepEqual(await storage.createUsers([alice, bob], event('user.created')), [])

  t.deepEqual(await storage.findUser('usr_Alice'), alice)
  t.deepEqual(await storage.findUser('usr_bob'), bob)
  t.is(await storage.findUser('usr_carol'), undefined)
})

contract('createUsers writes one audit event for each user', async (t, storage) => {
  await storage.createUsers([user('alice'), user('bob')], event('user.created'))
  t.deepEqual(await storage.listAuditEvents(10), [
    { at: start, type: 'user.created', userId: 'usr_bob', ip: caller.ip, requestId: caller.requestId },
    { at: start, type: 'user.created', userId: 'usr_alice', ip: caller.ip, requestId: caller.requestId },
  ])
})

contract(
  'createUsers creates all or none: a taken name or id is returned and nothing is written',
  async (t, storage) => {
    await storage.createUsers([user('alice')], event('user.created'))

    const [shouting, sameId] = [user('ALICE', { id: 'usr_2' }), user('erin', { id: 'usr_alice' })]
    const taken = await storage.createUsers([user('carol'), shouting, sameId, user('dave')], event('user.created'))

    t.deepEqual(taken, [
      { user: shouting, member: 'username' },
      { user: sameId, member: 'id' },
    ])
    t.deepEqual(
      (await storage.listUsers()).map(({ username }) => username),
      ['alice'],
    )
    t.is(await auditCount(storage), 1)
    t.deepEqual(await storage.createUsers([user('carol'), user('dave')], event('user.created')), [])
  },
)

contract(
  'updateUser changes what is named, keeps the rest and the sessions, and writes its event',
  async (t, storage) => {
    await populate(storage, session('s1'))
    const alice = (await storage.findUser('usr_alice'))!
    const about = { ...event('user.updated'), userId: 'usr_alice', detail: 'roles' }
    const live = await storage.listLiveSessions({ userId: 'usr_alice' }, start, 10)

    const changes = { email: 'a@example.com', fullName: 'Alice B.', roles: ['admin', 'billing:read'] }
    // Another address ends what was verified before.
    const changed = { ...alice, ...changes, credentialVersion: 2 }
    t.deepEqual(await storage.updateUser('usr_alice', changes, about), changed)
    t.deepEqual(await storage.findUser('usr_alice'), changed)
    t.deepEqual((await storage.listAuditEvents(1))[0], about)
    t.deepEqual(await storage.listLiveSessions({ userId: 'usr_alice' }, start, 10), live)
    t.is(live.length, 1)
    const bare = { ...changed, email: undefined, roles: undefined, credentialVersion: 3 }
    t.deepEqual(await storage.updateUser('usr_alice', { email: undefined, roles: undefined }, about), bare)
    t.deepEqual(await storage.findUser('usr_alice'), bare)

    const count = await auditCount(storage)
    t.is(await storage.updateUser('usr_nobody', changes, about), undefined)
    t.is(await auditCount(storage), count)
  },
)

contract(
  'updateUser gives a username that is free in all its forms, and keeps the old one for its user',
  async (t, storage) => {
    await storage.createUsers([user('alice'), user('five'), user('ﬁne')], event('user.created'))
    const rename = (username: string) => storage.updateUser('usr_alice', { username }, event('user.updated'))
    const count = await auditCount(storage)

    for (const taken of ['five', 'FIVE', 'ﬁve', 'fine', 'FINE']) t.is(await rename(taken), 'username_taken', taken)
    t.is((await storage.findUser('usr_alice'))?.username, 'alice')
    t.is(await auditCount(storage), count)

    for (const free of ['Alice', 'alice', 'ALICE', 'àlice', 'ﬁrst']) {
      t.is(((await rename(free)) as User).username, free)
      t.is((await storage.findUserByUsername(free))?.id, 'usr_alice', free)
    }
    t.is((await storage.findUserByUsername('first'))?.id, 'usr_alice')
    t.is(await storage.findUserByUsername('alice'), undefined)
    const other = user('alice', { id: 'usr_other' })
    t.like(await storage.createUsers([other], event('user.created')), [{ member: 'reserved_username' }])
    t.deepEqual(await storage.createUsers([other], event('user.created'), { takesReserved: true }), [])
  },
)

contract('of two users and a new one who want one name at the same time, one gets it', async (t, storage) => {
  await storage.createUsers([user('alice'), user('bob')], event('user.created'))
  const update = (id: string, username: string) => storage.updateUser(id, { username }, event('user.updated'))
  const [one, other, created] = await Promise.all([
    update('usr_alice', 'carol'),
    update('usr_bob', 'Carol'),
    storage.createUsers([user('CAROL')], event('user.created')),
  ])
  const got = [one !== 'username_taken', other !== 'username_taken', created.length === 0]
  t.is(got.filter(Boolean).length, 1)
})

contract('createUsers finds names and ids that are taken by one another', async (t, storage) => {
  const [shouting, sameId] = [user('Alice', { id: 'usr_2' }), user('bob', { id: 'usr_alice' })]
  t.deepEqual(await storage.createUsers([user('alice'), shouting, sameId], event('user.created')), [
    { user: shouting, member: 'username' },
    { user: sameId, member: 'id' },
  ])
  t.deepEqual(await storage.listUsers(), [])
  t.is(await auditCount(storage), 0)
})

contract('findTakenUsers makes nothing, and says what createUsers would', async (t, storage) => {
  const [alice, shouting] = [user('alice'), user('ALICE', { id: 'usr_2' })]
  const dryRun = (...users: User[]) => storage.findTakenUsers(users)
  t.deepEqual(await dryRun(alice, shouting), [{ user: shouting, member: 'username' }])
  t.deepEqual(await dryRun(alice), [])
  t.deepEqual(await storage.listUsers(), [])
  t.is(await auditCount(storage), 0)
  await storage.createUsers([alice], event('user.created'))
  t.deepEqual(await dryRun(shouting), [{ user: shouting, member: 'username' }])
})

/** More than one batch writes, however fast the machine. */
const manyUsers = 5000
const many = (prefix: string) => Array.from({ length: manyUsers }, (_, i) => user(`${prefix}${i}`))
const userCount = async (storage: Storage) => (await storage.listUsers()).length

contract('importUsers creates all at once, and writes one audit event with their number', async (t, storage) => {
  const seen = new Set<number>()
  const watch = setInterval(async () => {
    seen.add(await userCount(storage))
    // Of the first batch.
    seen.add((await storage.findUserByUsername('alice0')) === undefined ? 0 : manyUsers)
    seen.add((await storage.findUser('usr_alice0')) === undefined ? 0 : manyUsers)
    seen.add((await storage.samplePasswordHashes('', manyUsers)).hashes.length)
  }, 1)
  t.deepEqual(await storage.importUsers(many('alice'), event('user.created'), () => start), [])
  clearInterval(watch)
  t.deepEqual([...new Set([...seen, 0, manyUsers])].toSorted(), [0, manyUsers])
  t.is(await userCount(storage), manyUsers)
  t.deepEqual(await storage.findUser('usr_alice249'), user('alice249'))
  t.like(await storage.listAuditEvents(10), [{ type: 'user.created', count: manyUsers }])
  t.is(await auditCount(storage), 1)
  t.is((await storage.findTakenUsers(many('alice'))).length, manyUsers)
})

contract('importUsers creates none when one is taken, before it or in the file', async (t, storage) => {
  await storage.createUsers([user('alice200')], event('user.created'))
  const [taken, twice] = [many('alice'), [...many('bob'), user('BOB7', { id: 'usr_2' })]]
  t.deepEqual(await storage.importUsers(taken, event('user.created'), () => start), [
    { user: user('alice200'), member: 'username' },
  ])
  t.deepEqual(await storage.importUsers(twice, event('user.created'), () => start), [
    { user: user('BOB7', { id: 'usr_2' }), member: 'username' },
  ])
  t.is(await userCount(storage), 1)
  t.is(await auditCount(storage), 1)
  t.deepEqual(await storage.importUsers(many('bob'), event('user.created'), () => start), [])
})

contract(
  'of two imports of the same names at once one creates all of them, and the other says that it did not',
  async (t, storage) => {
    const both = await Promise.allSettled(
      [0, 1].map(() => storage.importUsers(many('alice'), event('user.created'), () => start)),
    )
    t.is(await userCount(storage), manyUsers)
    const wins = both.filter(result => result.status === 'fulfilled' && result.value.length === 0)
    t.is(wins.length, 1)
  },
)

contract('usernames are compared in NFC and without case', async (t, storage) => {
  await storage.createUsers([user('Zo\u00eb', { id: 'usr_zoe' })], event('user.created'))
  for (const spelling of ['Zo\u00eb', 'zoe\u0308', 'ZOE\u0308', 'ZO\u00cb']) {
    t.is((await storage.findUserByUsername(spelling))?.username, 'Zo\u00eb')
  }
  t.is(await storage.findUserByUsername('zoe'), undefined)
})

contract(
  'a new name is free only if none looks like it (NFKC_Casefold); every spelling finds its user',
  async (t, storage) => {
    const add = async (username: string, id: string) =>
      (await storage.createUsers([user(username, { id })], event('user.created'))).length === 0
    t.true(await add('admin', 'usr_a'))
    t.true(await add('علی\u200cرضا', 'usr_b'))
    for (const alike of ['admin\u3164', 'ＡＤＭＩＮ', 'a\u00addmin', ' admin', 'علیرضا'])
      t.false(await add(alike, 'usr_c'), alike)
    t.true(await add('admin2', 'usr_c'))
    for (const [spelling, id] of [
      ['admin', 'usr_a'],
      ['ａｄｍｉｎ\u3000', 'usr_a'],
      ['\u00a0Admin ', 'usr_a'],
      ['علی\u200cرضا', 'usr_b'],
      ['علیرضا', 'usr_b'],
    ] as const)
      t.is((await storage.findUserByUsername(spelling))?.id, id, JSON.stringify(spelling))
    for (const other of ['admin1', '', ' ', '\u3164']) t.is(await storage.findUserByUsername(other), undefined)
    // Of one request as of two.
    const [one, two] = [user('ﬁve', { id: 'usr_x' }), user('five', { id: 'usr_y' })]
    t.deepEqual(await storage.createUsers([one, two], event('user.created')), [{ user: two, member: 'username' }])
  },
)

contract('of two concurrent sign-ups with one name, one is made', async (t, storage) => {
  const outcomes = await Promise.all(
    ['a', 'b'].map(id => storage.createUsers([user('alice', { id: `usr_${id}` })], event('user.created'))),
  )
  t.deepEqual(outcomes.map(taken => taken.length).toSorted(), [0, 1])
  t.is((await storage.listUsers()).length, 1)
})

contract('listUsers goes by username without case', async (t, storage) => {
  await storage.createUsers([user('carol'), user('Bob'), user('alice')], event('user.created'))
  t.deepEqual(
    (await storage.listUsers()).map(({ username }) => username),
    ['alice', 'Bob', 'carol'],
  )
})

contract('listUsers goes page by page', async (t, storage) => {
  await storage.createUsers([user('carol'), user('Bob'), user('alice')], event('user.created'))
  const page = async (after: string | undefined, limit: number) =>
    (await storage.listUsers({ after, limit })).map(({ username }) => username)
  t.deepEqual(await page(undefined, 2), ['alice', 'Bob'])
  t.deepEqual(await page('Bob', 2), ['carol'])
  t.deepEqual(await page('carol', 2), [])
  t.deepEqual(await page('anybody who was removed', 1), ['Bob'])
})

contract('samplePasswordHashes gives others at each step, and in the end all', async (t, storage) => {
  t.deepEqual(await storage.samplePasswordHashes('', 3), { hashes: [], next: '' })
  const hashes = Array.from({ length: 8 }, (_, i) => `hash ${i}`)
  const users = hashes.map((passwordHash, i) => user(`user${i}`, { passwordHash }))
  await storage.createUsers([...users, user('nothing', { passwordHash: undefined })], event('user.created'))
  await storage.removeUser('usr_user4', event('user.removed'))
  const left = hashes.filter(hash => hash !== 'hash 4')

  const all = await storage.samplePasswordHashes('', 20)
  t.deepEqual([all.hashes.toSorted(), all.next], [left, ''])
  const steps = [await storage.samplePasswordHashes('', 3)]
  while (steps.at(-1)!.next !== '' && steps.length < 20)
    steps.push(await storage.samplePasswordHashes(steps.at(-1)!.next, 3))
  for (const { hashes } of steps) t.true(hashes.length > 0 && hashes.length <= 3)
  t.deepEqual(steps.flatMap(({ hashes }) => hashes).toSorted(), left)
  // From where somebody was who has been removed since.
  await storage.removeUser(steps[0]!.next, event('user.removed'))
  t.deepEqual(await storage.samplePasswordHashes(steps[0]!.next, 3), steps[1])
})

contract('a password update sets the hash, raises the version and ends the sessions', async (t, storage) => {
  await populate(storage, session('a'), session('b'), session('other', { userId: 'usr_bob' }))

  t.true(await storage.changeUser('usr_alice', passwordUpdate('better', event('user.password_changed', start + 5))))

  t.like(await storage.findUser('usr_alice'), { passwordHash: 'better', credentialVersion: 2 })
  t.deepEqual(
    await findSession(storage, 'a'),
    session('a', { revokedAt: start + 5, revokedReason: 'password_changed' }),
  )
  t.deepEqual(ids(await storage.listLiveSessions({}, start, 10)), ['other'])
  t.deepEqual(await auditTypes(storage), ['user.password_changed'])
})

contract(
  'a password update from within a session keeps its session as it is renewed, and ends the others',
  async (t, storage) => {
    await populate(storage, session('a'), session('b'), session('c', { userId: 'usr_bob' }))
    const renewed = session('a', {
      generation: firstGeneration + 1,
      parentGeneration: firstGeneration,
      oldestGeneration: firstGeneration + 1,
      rotatedAt: start + 5,
      lastSeenAt: start + 5,
      idleExpiresAt: start + 1005,
      ip: caller.ip,
      userAgent: caller.userAgent,
      ipBefore: '192.0.2.1',
      userAgentBefore: 'curl',
    })

    const change = ownPasswordUpdate(
      { passwordHash: 'better', version: 1 },
      row => renewSession(row, start + 5, policy, caller),
      event('user.password_changed', start + 5),
    )
    const changed = await storage.changeUser('usr_alice', change, 'a')

    t.deepEqual(changed, renewed)
    t.deepEqual(await findSession(storage, 'a'), renewed)
    t.like(await findSession(storage, 'b'), { revokedAt: start + 5, revokedReason: 'password_changed' })
    t.deepEqual(await findSession(storage, 'c'), session('c', { userId: 'usr_bob' }))
    t.like(await storage.findUser('usr_alice'), { passwordHash: 'better', credentialVersion: 2 })
    t.deepEqual(await auditTypes(storage), ['user.password_changed'])
  },
)

for (const [what, sessionId, version] of [
  ['another version', 'a', 2],
  ['a session that has ended', 'b', 1],
  ['a session that is not there', 'x', 1],
  ["another user's session", 'c', 1],
] as const) {
  contract(`a password update from within a session for ${what} changes nothing`, async (t, storage) => {
    await populate(storage, session('a'), session('b'), session('c', { userId: 'usr_bob' }))
    await storage.revokeSessions({ id: 'b' }, 'logout', event('session.revoked'))
    const state = async () => [
      await storage.findUser('usr_alice'),
      await storage.listLiveSessions({}, start, 10),
      await auditCount(storage),
    ]
    const before = await state()
    const renew = (row: Session | undefined) => renewSession(row, start + 5, policy, caller)
    const change = ownPasswordUpdate({ passwordHash: 'better', version }, renew, event('user.password_changed'))
    t.is(await storage.changeUser('usr_alice', change, sessionId), undefined)
    t.deepEqual(await state(), before)
  })
}

contract('a password update of a user who is gone is false and writes nothing', async (t, storage) => {
  await populate(storage, session('a'))
  t.false(await storage.changeUser('usr_carol', passwordUpdate('better', event('user.password_changed'))))
  t.deepEqual(await auditTypes(storage), [])
})

contract('a session that ended before keeps its reason through a password change', async (t, storage) => {
  await populate(storage, session('a'))
  await storage.revokeSessions({ id: 'a' }, 'logout', event('session.revoked', start + 1))
  await storage.changeUser('usr_alice', passwordUpdate('better', event('user.password_changed', start + 2)))
  t.like(await findSession(storage, 'a'), { revokedAt: start + 1, revokedReason: 'logout' })
})

contract('disabling a user raises the version and ends the sessions; enabling revives none', async (t, storage) => {
  await populate(storage, session('a'), session('other', { userId: 'usr_bob' }))

  t.true(await storage.changeUser('usr_alice', disabledUpdate(true, event('user.disabled', start + 5))))

  t.like(await storage.findUser('usr_alice'), { disabledAt: start + 5, credentialVersion: 2 })
  t.like(await findSession(storage, 'a'), { revokedAt: start + 5, revokedReason: 'user_disabled' })
  t.deepEqual(ids(await storage.listLiveSessions({}, start, 10)), ['other'])

  t.true(await storage.changeUser('usr_alice', disabledUpdate(false, event('user.enabled', start + 6))))

  t.like(await storage.findUser('usr_alice'), { disabledAt: undefined, credentialVersion: 2 })
  t.like(await findSession(storage, 'a'), { revokedReason: 'user_disabled' })
  t.deepEqual(await auditTypes(storage), ['user.disabled', 'user.enabled'])
})

contract('disabling or enabling a user twice, or one who is gone, is false and writes nothing', async (t, storage) => {
  await populate(storage, session('a'))
  t.false(await storage.changeUser('usr_alice', disabledUpdate(false, event('user.enabled'))))
  t.false(await storage.changeUser('usr_carol', disabledUpdate(true, event('user.disabled'))))
  t.true(await storage.changeUser('usr_alice', disabledUpdate(true, event('user.disabled', start + 1))))
  t.false(await storage.changeUser('usr_alice', disabledUpdate(true, event('user.disabled', start + 2))))
  t.like(await storage.findUser('usr_alice'), { disabledAt: start + 1, credentialVersion: 2 })
  t.deepEqual(await auditTypes(storage), ['user.disabled'])
})

contract('removing a user removes the sessions too', async (t, storage) => {
  await populate(storage, session('a'), session('other', { userId: 'usr_bob' }))

  t.true(await storage.removeUser('usr_alice', event('user.removed')))
  t.false(await storage.removeUser('usr_alice', event('user.removed')))

  t.is(await storage.findUser('usr_alice'), undefined)
  t.is(await storage.findUserByUsername('alice'), undefined)
  t.is(await findSession(storage, 'a'), undefined)
  t.not(await findSession(storage, 'other'), undefined)
  t.deepEqual(await auditTypes(storage), ['user.removed'])
})

// Clients.

contract('createClient keeps every member, and a taken id is false and changes nothing', async (t, storage) => {
  const confidential = client('web', {
    authenticationMethods: ['client_secret_basic', 'private_key_jwt'],
    secretDigests: ['new', 'old'],
    jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }] },
    jwksUri: 'https://web.example.com/jwks.json',
    grantTypes: ['password'],
    scope: '',
    audience: ['https://a.example.com', 'https://b.example.com'],
    accessTokenLifetime: 60,
    refreshIdleLifetime: 3600,
    refreshAbsoluteLifetime: 7200,
    corsOrigins: ['https://app.example.com', 'http://localhost:5173'],
  })

  t.true(await storage.createClient(confidential, event('client.created')))
  t.false(await storage.createClient(client('web', { scope: 'admin' }), event('client.created')))
  t.true(await storage.createClient(client('WEB'), event('client.created')))

  t.deepEqual(await storage.findClient('web'), confidential)
  t.deepEqual(await storage.findClient('WEB'), client('WEB'))
  t.is(await storage.findClient('Web'), undefined)
  t.is(await auditCount(storage), 2)
})

contract('listClients goes by id', async (t, storage) => {
  for (const id of ['web', 'app', 'phone']) await storage.createClient(client(id), event('client.created'))
  t.deepEqual(
    (await storage.listClients()).map(({ id }) => id),
    ['app', 'phone', 'web'],
  )
})

contract('changeClient stores what is made of the record, and writes nothing for no change', async (t, storage) => {
  const before = client('web', { secretDigests: ['old'] })
  await storage.createClient(before, event('client.created'))
  const seen: Client[] = []
  const change = (changes: Partial<Client>) => (current: Client) => {
    seen.push(current)
    return { ...current, ...changes }
  }

  const after = { ...before, secretDigests: ['new', 'old'], disabledAt: start + 1, scope: 'read' }
  t.deepEqual(await storage.changeClient('web', clientUpdate(change(after), event('client.updated'))), after)
  t.deepEqual(await storage.findClient('web'), after)
  t.deepEqual(await storage.changeClient('web', clientUpdate(change(before), event('client.enabled'))), before)
  t.deepEqual(seen, [before, after])

  t.is(
    await storage.changeClient(
      'web',
      clientUpdate(() => undefined, event('client.updated')),
    ),
    undefined,
  )
  t.is(await storage.changeClient('app', clientUpdate(change({ scope: 'all' }), event('client.updated'))), undefined)
  t.deepEqual(await storage.listClients(), [before])
  t.deepEqual(await auditTypes(storage), ['client.created', 'client.updated', 'client.enabled'])
})

contract('a change that throws changes nothing', async (t, storage) => {
  await storage.createClient(client('web'), event('client.created'))
  const change = () => {
    throw new Error('makes no sense')
  }
  await t.throwsAsync(storage.changeClient('web', clientUpdate(change, event('client.updated'))), {
    message: 'makes no sense',
  })
  t.deepEqual(await storage.findClient('web'), client('web'))
  t.deepEqual(await auditTypes(storage), ['client.created'])
})

contract('concurrent changes of one client lose none', async (t, storage) => {
  await storage.createClient(client('web'), event('client.created'))
  const add = (digest: string) => (current: Client) => ({
    ...current,
    secretDigests: [digest, ...current.secretDigests],
  })
  await Promise.all(
    ['a', 'b', 'c'].map(digest => storage.changeClient('web', clientUpdate(add(digest), event('client.updated')))),
  )
  t.deepEqual([...((await storage.findClient('web'))?.secretDigests ?? [])].sort(), ['a', 'b', 'c'])
})

// Identifiers that count once.

contract(
  'consumeOnce is true once, also for many at the same moment, and writes its event once',
  async (t, storage) => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => storage.consumeOnce('jti', start + 60, event('token.revoked'))),
    )
    t.is(answers.filter(answer => answer).length, 1)
    t.true(await storage.isConsumed('jti'))
    t.false(await storage.isConsumed('JTI'))
    t.true(await storage.consumeOnce('JTI', start + 60))
    t.deepEqual(await auditTypes(storage), ['token.revoked'])
  },
)

contract('pruneConsumed forgets what expired, and nothing else', async (t, storage) => {
  for (const [id, expiresAt] of [
    ['a', start],
    ['b', start + 1],
    ['c', start + 2],
  ] as const)
    await storage.consumeOnce(id, expiresAt)
  t.is(await storage.pruneConsumed(start + 1), 2)
  t.is(await storage.pruneConsumed(start + 1), 0)
  t.deepEqual(await Promise.all(['a', 'b', 'c'].map(id => storage.isConsumed(id))), [false, false, true])
})

const began = (at = start, fingerprint = 'one') => ({ fingerprint, beganAt: at, expiresAt: at + 100 })

contract(
  'beginAnswer begins a request once, also for many at the same moment; the others learn what is there',
  async (t, storage) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => storage.beginAnswer('me.id', began(), 100)))
    t.is(answers.filter(answer => answer === undefined).length, 1)
    const there = { fingerprint: 'one', beganAt: start, answer: undefined }
    t.deepEqual(
      answers.filter(answer => answer !== undefined),
      Array(19).fill(there),
    )

    await storage.keepAnswer('me.id', 'said')
    t.deepEqual(await storage.beginAnswer('me.id', began(start + 99, 'two'), 100), { ...there, answer: 'said' })
    t.is(await storage.beginAnswer('me.ID', began(), 100), undefined)
  },
)

contract('a request that expired or was forgotten begins anew, without its answer', async (t, storage) => {
  await storage.beginAnswer('me.id', began(), 100)
  await storage.keepAnswer('me.id', 'said')
  t.is(await storage.beginAnswer('me.id', began(start + 100, 'two'), 100), undefined)
  t.deepEqual(await storage.beginAnswer('me.id', began(start + 101), 100), {
    fingerprint: 'two',
    beganAt: start + 100,
    answer: undefined,
  })
  await storage.forgetAnswer('me.id')
  t.is(await storage.beginAnswer('me.id', began(start + 102), 100), undefined)
})

contract('pruneAnswers forgets what expired, and nothing else', async (t, storage) => {
  for (const [id, at] of [
    ['me.a', start],
    ['me.b', start + 1],
    ['me.c', start + 2],
  ] as const)
    await storage.beginAnswer(id, began(at), 100)
  t.is(await storage.pruneAnswers(start + 101), 2)
  t.is(await storage.pruneAnswers(start + 101), 0)
  t.not(await storage.beginAnswer('me.c', began(start + 3), 100), undefined)
})

contract(
  'an owner has only so many answers that have not expired; those of another, and what is there, are another matter',
  async (t, storage) => {
    const begin = (id: string, at = start) => storage.beginAnswer(id, began(at), 3)
    for (const id of ['me.a', 'me.b', 'me.c', 'm.x', 'me-.x']) t.is(await begin(id), undefined, id)
    t.is(await begin('me.d'), 'full')
    t.deepEqual(await begin('me.a'), { fingerprint: 'one', beganAt: start, answer: undefined })
    t.is(await begin('you.d'), undefined)
    await storage.forgetAnswer('me.b')
    t.is(await begin('me.d'), undefined)
    t.is(await begin('me.e'), 'full')
    t.is(await begin('me.e', start + 100), undefined)
  },
)

contract(
  'a user and a client that are not what was meant are not removed, and nothing is written',
  async (t, storage) => {
    await populate(storage, session('a'))
    const count = await auditCount(storage)
    const refuse = (what: string) => (found: { id: string }) => {
      throw new RangeError(`${what} ${found.id}`)
    }
    await t.throwsAsync(storage.removeUser('usr_alice', event('user.removed'), refuse('user')), {
      message: 'user usr_alice',
    })
    await t.throwsAsync(storage.removeClient('app', event('client.removed'), refuse('client')), {
      message: 'client app',
    })
    t.is(await auditCount(storage), count)
    t.deepEqual(ids(await storage.listLiveSessions({}, start, 10)), ['a'])
    t.false(await storage.removeUser('usr_none', event('user.removed'), refuse('user')))
    t.false(await storage.removeClient('none', event('client.removed'), refuse('client')))
    t.true(await storage.removeUser('usr_alice', event('user.removed'), () => {}))
    t.true(await storage.removeClient('app', event('client.removed'), () => {}))
  },
)

contract('disabling a client leaves its sessions alone', async (t, storage) => {
  await populate(storage, session('a'))
  await storage.changeClient(
    'app',
    clientUpdate(app => ({ ...app, disabledAt: start }), event('client.disabled')),
  )
  t.deepEqual(await findSession(storage, 'a'), session('a'))
})

contract('removing a client removes its sessions too', async (t, storage) => {
  await populate(storage, session('a'), session('other', { clientId: 'web' }))

  t.true(await storage.removeClient('app', event('client.removed')))
  t.false(await storage.removeClient('app', event('client.removed')))

  t.is(await storage.findClient('app'), undefined)
  t.is(await findSession(storage, 'a'), undefined)
  t.not(await findSession(storage, 'other'), undefined)
  t.deepEqual(await auditTypes(storage), ['client.removed'])
})

// First start.

contract('bootstrap creates the first client and user, once', async (t, storage) => {
  t.true(await storage.bootstrap(client('app'), user('admin'), event('user.created')))
  t.deepEqual(await storage.findClient('app'), client('app'))
  t.deepEqual(await storage.findUserByUsername('admin'), user('admin'))
  t.false(await storage.bootstrap(client('app2'), user('admin2'), event('user.created')))
  t.is((await storage.listUsers()).length, 1)
  t.is(await auditCount(storage), 1)
})

contract('bootstrap leaves a database alone that has a client or a user', async (t, storage) => {
  await storage.createClient(client('web'), event('client.created'))
  t.false(await storage.bootstrap(client('app'), user('admin'), event('user.created')))
  await storage.removeClient('web', event('client.removed'))

  await storage.createUsers([user('alice')], event('user.created'))
  t.false(await storage.bootstrap(client('app'), user('admin'), event('user.created')))
  await storage.removeUser('usr_alice', event('user.removed'))

  t.deepEqual([await storage.listUsers(), await storage.listClients()], [[], []])
  t.true(await storage.bootstrap(client('app'), user('admin'), event('user.created')))
})

contract('the issuer of the last start is kept for the next one', async (t, storage) => {
  t.is(await storage.findLastIssuer(), undefined)
  await storage.noteIssuer('')
  t.is(await storage.findLastIssuer(), '')
  await Promise.all(['https://a.example', 'https://a.example'].map(issuer => storage.noteIssuer(issuer)))
  t.is(await storage.findLastIssuer(), 'https://a.example')
})

contract('a client has a name, or none', async (t, storage) => {
  const named = { ...client('app'), name: '우리 앱' }
  await storage.createClient(named, event('client.created'))
  t.deepEqual(await storage.findClient('app'), named)
  const { name: _, ...unnamed } = named
  await storage.changeClient('app', () => ({ outcome: undefined, client: unnamed, event: event('client.updated') }))
  t.deepEqual(await storage.findClient('app'), unnamed)
})

contract('of two nodes that start at once, one bootstraps', async (t, storage) => {
  const outcomes = await Promise.all(
    ['one', 'two'].map(name => storage.bootstrap(client(name), user(name), event('user.created'))),
  )
  t.deepEqual(outcomes.toSorted(), [false, true])
  t.is((await storage.listUsers()).length, 1)
})

// Sessions.

contract('createSession keeps every member of a session', async (t, storage) => {
  const full = session('a')
  const bare = session('b', { device: undefined, ip: undefined, userAgent: undefined, scope: '' })
  await populate(storage, full, bare)
  t.deepEqual(await findSession(storage, 'a'), full)
  t.deepEqual(await findSession(storage, 'b'), bare)
  t.is(await findSession(storage, 'c'), undefined)
})

contract('createSession is refused when the password was changed meanwhile, and writes nothing', async (t, storage) => {
  await populate(storage)
  await storage.changeUser('usr_alice', passwordUpdate('changed', event('user.password_changed')))
  const before = await auditCount(storage)

  const credentials = { version: 1, passwordHash: 'rehashed' }
  t.false(await storage.createSession(session('a'), credentials, event('session.created')))

  t.is(await findSession(storage, 'a'), undefined)
  t.is((await storage.findUser('usr_alice'))?.passwordHash, 'changed')
  t.is(await auditCount(storage), before)
  t.true(await storage.createSession(session('a'), { ...credentials, version: 2 }, event('session.created')))
})

contract('createSession is refused when the user was disabled meanwhile', async (t, storage) => {
  await populate(storage)
  await storage.changeUser('usr_alice', disabledUpdate(true, event('user.disabled')))
  for (const version of [1, 2]) {
    t.false(await storage.createSession(session('a'), { version }, event('session.created')))
  }
  await storage.changeUser('usr_alice', disabledUpdate(false, event('user.enabled')))
  // The version that was verified before the disabling stays dead.
  t.false(await storage.createSession(session('a'), { version: 1 }, event('session.created')))
  t.true(await storage.createSession(session('a'), { version: 2 }, event('session.created')))
})

contract('createSession is refused when the user was removed meanwhile', async (t, storage) => {
  await populate(storage)
  t.true(await storage.createSession(session('a'), { version: 1 }, event('session.created')))
  await storage.removeUser('usr_alice', event('user.removed'))
  t.false(await storage.createSession(session('b'), { version: 1 }, event('session.created')))
  t.is(await findSession(storage, 'b'), undefined)
})

contract('createSession is refused when the client was removed meanwhile', async (t, storage) => {
  await populate(storage)
  await storage.removeClient('app', event('client.removed'))
  t.false(await storage.createSession(session('a'), { version: 1 }, event('session.created')))
  t.is(await findSession(storage, 'a'), undefined)
  t.true(await storage.createSession(session('a', { clientId: 'web' }), { version: 1 }, event('session.created')))
})

contract('createSession stores a better hash of the same password, ending nothing', async (t, storage) => {
  await populate(storage, session('a'))
  const credentials = { version: 1, passwordHash: 'argon2id' }
  t.true(await storage.createSession(session('b'), credentials, event('session.created')))
  t.like(await storage.findUser('usr_alice'), { passwordHash: 'argon2id', credentialVersion: 1 })
  t.deepEqual(ids(await storage.listLiveSessions({}, start, 10)), ['a', 'b'])
})

contract('a sign-in that races a password change leaves no session behind, whichever is first', async (t, storage) => {
  await populate(storage)
  const change = (hash: string) => storage.changeUser('usr_alice', passwordUpdate(hash, event('user.password_changed')))
  const signIn = (id: string, version: number) =>
    storage.createSession(session(id), { version }, event('session.created'))

  // Which one is first is up to the database.
  const [, second] = await Promise.all([signIn('a', 1), change('second')])
  const [third] = await Promise.all([change('third'), signIn('b', 2)])

  t.deepEqual([second, third], [true, true])
  t.deepEqual(await storage.listLiveSessions({ userId: 'usr_alice' }, start, 10), [])
  t.false(await signIn('c', 2))
  t.true(await signIn('d', 3))
})

contract('changeSession: rotate writes the row and leaves no trace in the audit trail', async (t, storage) => {
  await populate(storage, session('a'), session('b'))

  const decision = await refresh(storage, 'a', firstGeneration, start + 100)

  const expected = session('a', {
    parentGeneration: firstGeneration,
    generation: firstGeneration + 1,
    rotatedAt: start + 100,
    lastSeenAt: start + 100,
    idleExpiresAt: start + 1100,
  })
  t.deepEqual(decision, { kind: 'rotated', session: expected })
  t.deepEqual(await findSession(storage, 'a'), expected)
  t.deepEqual(await findSession(storage, 'b'), session('b'))
  t.deepEqual(await auditTypes(storage), [])
})

contract('changeSession: retry writes nothing', async (t, storage) => {
  await populate(storage, session('a'))
  const first = await refresh(storage, 'a', firstGeneration, start + 100)

  const decision = await refresh(storage, 'a', firstGeneration, start + 130)

  t.is(decision.kind, 'retried')
  t.deepEqual('session' in decision && decision.session, 'session' in first && first.session)
  t.like(await findSession(storage, 'a'), { generation: firstGeneration + 1, lastSeenAt: start + 100 })
  t.deepEqual(await auditTypes(storage), [])
})

contract('changeSession: a retry is not written even where its session differs from the row', async (t, storage) => {
  await populate(storage, session('a'))
  const changed = session('a', { generation: firstGeneration + 9 })
  const decide = (kind: 'retried' | 'rotated') => () => ({ kind, session: changed })
  await decideSession(storage, 'a', decide('retried'))
  t.deepEqual(await findSession(storage, 'a'), session('a'))
  await decideSession(storage, 'a', decide('rotated'))
  t.deepEqual(await findSession(storage, 'a'), changed)
})

contract('changeSession: late retry writes the row and an audit event together', async (t, storage) => {
  await populate(storage, session('a'))
  await refresh(storage, 'a', firstGeneration, start + 100)

  t.is((await refresh(storage, 'a', firstGeneration, start + 300)).kind, 'late_retried')

  t.like(await findSession(storage, 'a'), { generation: firstGeneration + 2, parentGeneration: firstGeneration })
  t.deepEqual((await storage.listAuditEvents(1))[0], {
    at: start + 300,
    type: 'session.late_retried',
    userId: 'usr_alice',
    clientId: 'app',
    sessionId: 'a',
    ip: caller.ip,
    requestId: caller.requestId,
  })
})

contract('changeSession: heal writes the row and an audit event together', async (t, storage) => {
  await populate(storage, session('a'))
  t.is((await refresh(storage, 'a', firstGeneration + 40)).kind, 'healed')
  t.like(await findSession(storage, 'a'), { generation: firstGeneration + 41, parentGeneration: firstGeneration + 40 })
  t.deepEqual(await auditTypes(storage), ['session.healed'])
})

contract('changeSession: reuse commits the revocation and its audit event (RFC 9700 §4.14.2)', async (t, storage) => {
  await populate(storage, session('a'), session('b'))
  await refresh(storage, 'a', firstGeneration)
  await refresh(storage, 'a', firstGeneration + 1)

  t.is((await refresh(storage, 'a', firstGeneration, start + 7)).kind, 'reused')

  t.like(await findSession(storage, 'a'), {
    revokedAt: start + 7,
    revokedReason: 'refresh_token_reuse',
    generation: firstGeneration + 2,
  })
  t.is((await refresh(storage, 'a', firstGeneration + 2, start + 8)).kind, 'revoked')
  t.deepEqual(ids(await storage.listLiveSessions({}, start, 10)), ['b'])
  t.deepEqual(await auditTypes(storage), ['session.reused'])
})

contract('changeSession: what is refused writes nothing', async (t, storage) => {
  const refusals: RefreshDecision[] = [
    { kind: 'unknown' },
    { kind: 'revoked' },
    { kind: 'expired' },
    { kind: 'foreign' },
    { kind: 'scope_exceeded', allowed: 'read' },
  ]
  await populate(storage, session('a'))
  for (const refusal of refusals) {
    t.deepEqual(await decideSession(storage, 'a', () => refusal), refusal)
  }
  t.deepEqual(await findSession(storage, 'a'), session('a'))
  t.deepEqual(await auditTypes(storage), [])
})

contract('changeSession writes what it is given, whatever of the session that changes', async (t, storage) => {
  const changes: Partial<Session>[] = [
    { generation: 5, parentGeneration: 4, rotatedAt: start + 1, lastSeenAt: start + 1, idleExpiresAt: start + 9 },
    { scope: 'read' },
    { audience: [] },
    { amr: ['pwd', 'otp'] },
    { authTime: start + 1 },
    { expiresAt: start + 9 },
    { device: undefined },
    { ip: undefined },
    { userAgent: 'another' },
    { seenBeforeAt: start + 1 },
    { ipBefore: '' },
    { userAgentBefore: 'another' },
    { retriedElsewhereAt: start + 1 },
    { oldestGeneration: 4 },
    { revokedAt: start + 1, revokedReason: 'logout' },
  ]
  await populate(storage, ...changes.map((_, i) => session(`s${i}`)))
  for (const [i, change] of changes.entries()) {
    const id = `s${i}`
    const answer = await storage.changeSession(id, row => ({ outcome: 'an outcome', session: { ...row!, ...change } }))
    t.is(answer, 'an outcome')
    t.deepEqual(await findSession(storage, id), session(id, change), JSON.stringify(change))
  }
  t.deepEqual(await auditTypes(storage), [])
})

contract('changeUser writes what it is given, and ends no session unless it is told to', async (t, storage) => {
  await populate(storage, session('a'))
  const changed = user('alice', {
    email: 'alice@example.com',
    fullName: 'Alice',
    passwordHash: undefined,
    credentialVersion: 7,
    disabledAt: start + 1,
  })
  const seen: (User | undefined)[] = []
  for (const id of ['usr_alice', 'usr_carol']) {
    const answer = await storage.changeUser(id, row => {
      seen.push(row)
      return row === undefined ? { outcome: 'nobody' } : { outcome: 'somebody', user: changed }
    })
    t.is(answer, id === 'usr_alice' ? 'somebody' : 'nobody')
  }
  t.deepEqual(seen, [user('alice'), undefined])
  t.deepEqual(await storage.findUser('usr_alice'), changed)
  t.deepEqual(await findSession(storage, 'a'), session('a'))
  t.deepEqual(await auditTypes(storage), [])
})

contract('changeSession: decide sees the row, or undefined when there is none', async (t, storage) => {
  await populate(storage, session('a'))
  const seen = new Map<string, Session | undefined>()
  for (const id of ['a', 'nobody']) {
    const look = (row: Session | undefined): RefreshDecision => {
      seen.set(id, row)
      return { kind: 'unknown' }
    }
    await decideSession(storage, id, look)
  }
  t.deepEqual(seen.get('a'), session('a'))
  t.deepEqual([seen.has('nobody'), seen.get('nobody')], [true, undefined])
  t.is(await findSession(storage, 'nobody'), undefined)
})

contract('promise 1: 20 parallel uses of one token make one rotation and 19 retries', async (t, storage) => {
  await populate(storage, session('a'))
  const decisions = await Promise.all(Array.from({ length: 20 }, () => refresh(storage, 'a', firstGeneration)))
  t.is(decisions.filter(({ kind }) => kind === 'rotated').length, 1)
  t.is(decisions.filter(({ kind }) => kind === 'retried').length, 19)
  t.is((await findSession(storage, 'a'))?.generation, firstGeneration + 1)
})

contract(
  '20 parallel advances of one session are serialised: each sees what the last one wrote',
  async (t, storage) => {
    await populate(storage, session('a'))
    const next = (row: Session | undefined): RefreshDecision =>
      row === undefined ? { kind: 'unknown' } : { kind: 'rotated', session: { ...row, generation: row.generation + 1 } }
    const decisions = await Promise.all(Array.from({ length: 20 }, () => decideSession(storage, 'a', next)))
    const generations = decisions.map(decision => ('session' in decision ? decision.session.generation : 0))
    t.deepEqual(
      generations.toSorted((a, b) => a - b),
      Array.from({ length: 20 }, (_, i) => firstGeneration + 1 + i),
    )
    t.is((await findSession(storage, 'a'))?.generation, firstGeneration + 20)
  },
)

contract('a decide that throws rejects and writes nothing; other writes of the moment commit', async (t, storage) => {
  await populate(storage, session('a'), session('b'), session('c'), session('d'))
  const mistake = new Error('a mistake in decide')
  const broken = () => {
    throw mistake
  }

  const outcomes = await Promise.allSettled([
    refresh(storage, 'a', firstGeneration, start + 1),
    decideSession(storage, 'b', broken, start + 1),
    refresh(storage, 'c', firstGeneration, start + 1),
    storage.revokeSessions({ id: 'd' }, 'logout', event('session.revoked')),
  ])

  t.deepEqual(
    outcomes.map(outcome => (outcome.status === 'rejected' ? outcome.reason : 'done')),
    ['done', mistake, 'done', 'done'],
  )
  t.is((await findSession(storage, 'a'))?.generation, firstGeneration + 1)
  t.deepEqual(await findSession(storage, 'b'), session('b'))
  t.is((await findSession(storage, 'c'))?.generation, firstGeneration + 1)
  t.like(await findSession(storage, 'd'), { generation: firstGeneration, revokedReason: 'logout' })
  t.deepEqual(await auditTypes(storage), ['session.revoked'])
})

contract(
  'promise 4: a refresh that races a logout leaves nothing that works, whichever is first',
  async (t, storage) => {
    await populate(storage, session('a'), session('b'))
    const logout = (id: string) => storage.revokeSessions({ id }, 'logout', event('session.revoked'))

    const [first] = await Promise.all([refresh(storage, 'a', firstGeneration), logout('a')])
    const [, second] = await Promise.all([logout('b'), refresh(storage, 'b', firstGeneration)])

    // Which one is first is up to the database.
    for (const { kind } of [first, second]) t.true(kind === 'rotated' || kind === 'revoked', kind)
    for (const id of ['a', 'b']) {
      t.is((await refresh(storage, id, firstGeneration + 1)).kind, 'revoked')
      t.is(await storage.findLiveSession(id, start), undefined)
    }
  },
)

contract('findLiveSession gives the session with its user until either expiry', async (t, storage) => {
  await populate(storage, session('idle'), session('absolute', { idleExpiresAt: start + 9000 }))
  t.deepEqual(await storage.findLiveSession('idle', start + 999), { session: session('idle'), user: user('alice') })
  t.is(await storage.findLiveSession('idle', start + 1000), undefined)
  t.not(await storage.findLiveSession('absolute', start + 4999), undefined)
  t.is(await storage.findLiveSession('absolute', start + 5000), undefined)
  t.is(await storage.findLiveSession('nobody', start), undefined)
})

contract("a session of the server's own audience stays one", async (t, storage) => {
  await populate(storage, session('a', { audience: [] }))
  t.deepEqual((await findSession(storage, 'a'))?.audience, [])
})

contract(
  'countLiveSessionsByGrant counts the live sessions of one client by scope and audience',
  async (t, storage) => {
    const own = { audience: [] }
    await populate(
      storage,
      session('a', own),
      session('b', own),
      session('narrow', { ...own, scope: 'read' }),
      session('other', { ...own, clientId: 'web' }),
      session('dead', { ...own, idleExpiresAt: start }),
      session('named'),
    )
    const byCount = (await storage.countLiveSessionsByGrant('app', start)).toSorted((x, y) => y.count - x.count)
    t.deepEqual(byCount[0], { scope: 'read write', audience: [], count: 2 })
    t.deepEqual(
      new Set(byCount.slice(1).map(({ scope, audience, count }) => [scope, ...audience, count].join())),
      new Set(['read,1', 'read write,https://api.example.com,https://files.example.com,1']),
    )
  },
)

contract('findLiveSession gives none that was revoked', async (t, storage) => {
  await populate(storage, session('a'), session('b'))
  await storage.revokeSessions({ id: 'a' }, 'logout', event('session.revoked'))
  t.is(await storage.findLiveSession('a', start), undefined)
  t.not(await storage.findLiveSession('b', start), undefined)
})

contract(
  'listLiveSessions gives the last seen first, live ones only, and no more than the limit',
  async (t, storage) => {
    await populate(
      storage,
      session('old', { lastSeenAt: start + 1 }),
      session('new', { lastSeenAt: start + 3 }),
      session('middle', { lastSeenAt: start + 2 }),
      session('idle', { idleExpiresAt: start + 100 }),
      session('ended', { expiresAt: start + 100 }),
      session('revoked'),
    )
    await storage.revokeSessions({ id: 'revoked' }, 'logout', event('session.revoked'))
    const all = await storage.listLiveSessions({}, start + 100, 10)
    t.deepEqual(ids(all), ['new', 'middle', 'old'])
    t.deepEqual(all[0], session('new', { lastSeenAt: start + 3 }))
    t.deepEqual(ids(await storage.listLiveSessions({}, start + 100, 2)), ['new', 'middle'])
    t.is((await storage.listLiveSessions({}, start + 99, 10)).length, 5)
  },
)

/** Four sessions: two of Alice's on `app`, one of hers on `web`, one of Bob's. */
const household = () => [
  session('a1'),
  session('a2'),
  session('a3', { clientId: 'web' }),
  session('b1', { userId: 'usr_bob' }),
]

for (const [which, expected] of [
  [{}, ['a1', 'a2', 'a3', 'b1']],
  [{ id: 'a1' }, ['a1']],
  [{ id: 'nobody' }, []],
  [{ userId: 'usr_alice' }, ['a1', 'a2', 'a3']],
  [{ clientId: 'app' }, ['a1', 'a2', 'b1']],
  [{ userId: 'usr_alice', clientId: 'app' }, ['a1', 'a2']],
  [{ userId: 'usr_alice', exceptId: 'a1' }, ['a2', 'a3']],
  [{ id: 'a1', userId: 'usr_bob' }, []],
  [{ id: 'a1', clientId: 'web' }, []],
  [{ id: 'a1', exceptId: 'a1' }, []],
  [{ id: undefined, userId: 'usr_bob' }, ['b1']],
] as const) {
  contract(`the filter ${JSON.stringify(which)} lists and ends ${expected.join(' ') || 'none'}`, async (t, storage) => {
    await populate(storage, ...household())
    t.deepEqual(ids(await storage.listLiveSessions(which, start, 10)).toSorted(), [...expected])

    t.is(await storage.revokeSessions(which, 'logout', event('session.revoked', start + 1)), expected.length)

    const live = ids(await storage.listLiveSessions({}, start + 1, 10))
    t.deepEqual(
      live.toSorted(),
      ids(household()).filter(id => !(expected as readonly string[]).includes(id)),
    )
    t.deepEqual(await auditTypes(storage), expected.length > 0 ? ['session.revoked'] : [])
  })
}

contract('revokeSessions says when and why, and never again for the same session', async (t, storage) => {
  await populate(storage, session('a'))
  t.is(await storage.revokeSessions({ id: 'a' }, 'logout', event('session.revoked', start + 5)), 1)
  t.is(await storage.revokeSessions({ id: 'a' }, 'revoked_by_operator', event('session.revoked', start + 6)), 0)
  t.deepEqual(await findSession(storage, 'a'), session('a', { revokedAt: start + 5, revokedReason: 'logout' }))
  t.deepEqual(await auditTypes(storage), ['session.revoked'])
})

contract('revokeSessions records the reason and how many, after what the event says already', async (t, storage) => {
  await populate(storage, session('a'), session('b'), session('c'))
  const details = async () => (await storage.listAuditEvents(9, { type: 'session.revoked' })).map(one => one.detail)

  await storage.revokeSessions({ id: 'a' }, 'logout', event('session.revoked'))
  await storage.revokeSessions({}, 'revoked_by_operator', { ...event('session.revoked'), detail: 'operator root' })

  t.deepEqual(await details(), ['operator root: revoked_by_operator: 2', 'logout: 1'])
})

contract('revokeSessions does not count what has expired', async (t, storage) => {
  await populate(storage, session('a'))
  t.is(await storage.revokeSessions({}, 'logout', event('session.revoked', start + 1000)), 0)
  t.is((await findSession(storage, 'a'))?.revokedAt, undefined)
  t.is(await storage.revokeSessions({}, 'logout', event('session.revoked', start + 999)), 1)
})

// Signing keys.

contract('addSigningKey adds to the newest it was given, and to no other', async (t, storage) => {
  t.false(await storage.addSigningKey(signingKey('k1'), 'k0', event('key.created')))
  t.true(await storage.addSigningKey(signingKey('k1'), undefined, event('key.created')))
  t.false(await storage.addSigningKey(signingKey('k2', start + 1), undefined, event('key.created')))
  t.true(await storage.addSigningKey(signingKey('k2', start + 1), 'k1', event('key.created')))
  t.false(await storage.addSigningKey(signingKey('k3', start + 2), 'k1', event('key.created')))
  t.deepEqual(await storage.listSigningKeys(), [signingKey('k1'), signingKey('k2', start + 1)])
  t.deepEqual(await auditTypes(storage), ['key.created', 'key.created'])
})

contract('of two nodes that start at once, one makes the first signing key', async (t, storage) => {
  const outcomes = await Promise.all(
    ['k1', 'k2'].map(kid => storage.addSigningKey(signingKey(kid), undefined, event('key.created'))),
  )
  t.deepEqual(outcomes.toSorted(), [false, true])
  t.is((await storage.listSigningKeys()).length, 1)
})

contract('keys made in one second are listed so that the last is the newest of addSigningKey', async (t, storage) => {
  t.true(await storage.addSigningKey(signingKey('k2'), undefined, event('key.created')))
  t.true(await storage.addSigningKey(signingKey('k1'), 'k2', event('key.created')))
  const last = (await storage.listSigningKeys()).at(-1)
  t.true(await storage.addSigningKey(signingKey('k3', start + 1), last?.kid, event('key.created')))
})

contract('removeSigningKeys removes those that are named', async (t, storage) => {
  await storage.addSigningKey(signingKey('k1'), undefined, event('key.created'))
  await storage.addSigningKey(signingKey('k2', start + 1), 'k1', event('key.created'))
  t.is(await storage.removeSigningKeys(['k1', 'k0'], event('key.removed')), 1)
  t.is(await storage.removeSigningKeys([], event('key.removed')), 0)
  t.deepEqual(await auditTypes(storage), ['key.created', 'key.created', 'key.removed'])
  t.deepEqual(await storage.listSigningKeys(), [signingKey('k2', start + 1)])
})

contract('replacePrivateJwes replaces those that are named, and writes one event', async (t, storage) => {
  await storage.addSigningKey(signingKey('k1'), undefined, event('key.created'))
  await storage.addSigningKey(signingKey('k2', start + 1), 'k1', event('key.created'))
  t.is(await storage.replacePrivateJwes(new Map([['k1', 'another']]), event('secret.rotated')), 1)
  t.is(await storage.replacePrivateJwes(new Map([['k0', 'another']]), event('secret.rotated')), 0)
  t.deepEqual(await storage.listSigningKeys(), [
    { ...signingKey('k1'), privateJwe: 'another' },
    signingKey('k2', start + 1),
  ])
  t.deepEqual(await auditTypes(storage), ['key.created', 'key.created', 'secret.rotated'])
})

contract(
  'noteMasterSecret keeps the first time of a secret, and the last until which it is used',
  async (t, storage) => {
    const note = (name: string, usedSince: number, usedUntil?: number) =>
      storage.noteMasterSecret(
        usedUntil === undefined ? { name, usedSince } : { name, usedSince, usedUntil },
        event('secret.in_use', usedSince),
      )
    t.deepEqual(await storage.listMasterSecretUses(), [])
    await note('a1', start)
    await note('a1', start + 9)
    t.deepEqual(await storage.listMasterSecretUses(), [{ name: 'a1', usedSince: start }])
    await note('a1', start + 10, start + 20)
    await note('a1', start + 11, start + 15)
    t.deepEqual(await storage.listMasterSecretUses(), [{ name: 'a1', usedSince: start, usedUntil: start + 20 }])
    await note('b2', start + 12, start + 30)
    t.is((await storage.listMasterSecretUses()).length, 2)
    t.is((await storage.listAuditEvents(10, { type: 'secret.in_use' })).length, 2)
  },
)

contract('forgetMasterSecrets forgets those that are named, and says so', async (t, storage) => {
  for (const name of ['a1', 'b2', 'c3'])
    await storage.noteMasterSecret({ name, usedSince: start }, event('secret.in_use', start))
  await storage.forgetMasterSecrets(['a1', 'c3', 'none'], event('secret.old_dropped', start))
  t.deepEqual(
    (await storage.listMasterSecretUses()).map(({ name }) => name),
    ['b2'],
  )
  await storage.forgetMasterSecrets([], event('secret.old_dropped', start))
  t.is((await storage.listAuditEvents(10, { type: 'secret.old_dropped' })).length, 2)
})

// The audit trail and pruning.

contract(
  'listAuditEvents gives the newest first, every member that was given and no more than the limit',
  async (t, storage) => {
    const full = { ...event('user.created', start + 1), detail: 'operator', userId: 'usr_alice' }
    await storage.createUsers([user('alice')], full)
    await storage.createClient(client('app'), auditEvent('client.created', start, {}, { clientId: 'app' }))
    t.deepEqual(await storage.listAuditEvents(10), [{ at: start, type: 'client.created', clientId: 'app' }, full])
    t.is((await storage.listAuditEvents(1)).length, 1)
  },
)

contract('the audit trail is filtered by a type, or by what stands before the dot of several', async (t, storage) => {
  const types = ['session.created', 'session.revoked', 'sign_in.refused', 'token.revoked'] as const
  await storage.addAuditEvents(types.map(type => event(type)))
  const typesOf = async (type: string) => (await storage.listAuditEvents(10, { type })).map(one => one.type)
  t.deepEqual(await typesOf('session'), ['session.revoked', 'session.created'])
  t.deepEqual(await typesOf('session.revoked'), ['session.revoked'])
  t.deepEqual(await typesOf('s'), [])
})

contract(
  'pruneSessions removes what ended before the instant, for each way to end, and keeps the rest',
  async (t, storage) => {
    await populate(
      storage,
      session('idle', { idleExpiresAt: start + 10 }),
      session('absolute', { expiresAt: start + 10 }),
      session('revoked'),
      session('later', { idleExpiresAt: start + 200 }),
      session('live'),
    )
    await storage.revokeSessions({ id: 'revoked' }, 'logout', event('session.revoked', start + 5))

    const after = await storage.pruneSessions('', start + 100)
    t.is(after === '' ? '' : await storage.pruneSessions(after, start + 100), '')

    const kept = await Promise.all(
      ['idle', 'absolute', 'revoked', 'later', 'live'].map(async id => (await findSession(storage, id)) !== undefined),
    )
    t.deepEqual(kept, [false, false, false, true, true])
  },
)

contract('pruneSessions walks all sessions in steps and then begins anew', async (t, storage) => {
  await populate(storage)
  const many = Array.from({ length: 1200 }, (_, i) =>
    session(`s${String(i).padStart(4, '0')}`, i % 2 === 0 ? { idleExpiresAt: start + 10 } : {}),
  )
  // A pool of connections refuses who would wait too long.
  for (let at = 0; at < many.length; at += 100) {
    const some = many.slice(at, at + 100)
    await Promise.all(some.map(one => storage.createSession(one, { version: 1 }, event('session.created'))))
  }

  const positions = [await storage.pruneSessions('', start + 100)]
  while (positions.at(-1) !== '' && positions.length < 1200) {
    positions.push(await storage.pruneSessions(positions.at(-1)!, start + 100))
  }

  t.is(positions.at(-1), '')
  t.true(positions.length > 2, 'one step looks at a limited number of rows')
  t.deepEqual(positions.slice(0, -1), positions.slice(0, -1).toSorted())
  const left = await storage.listLiveSessions({}, start, 2000)
  t.is(left.length, 600)
  t.true(left.every(({ idleExpiresAt }) => idleExpiresAt === start + 1000))
})

contract('pruneAuditEvents removes the old ones in limited steps and says how many', async (t, storage) => {
  await storage.addAuditEvents(
    Array.from({ length: 1200 }, (_, i) => event('client.created', i < 1100 ? start : start + 100)),
  )
  const removed = []
  do removed.push(await storage.pruneAuditEvents(start + 50))
  while (removed.at(-1) !== 0 && removed.length < 1200)

  t.is(
    removed.reduce((sum, count) => sum + count, 0),
    1100,
  )
  t.true(removed.length > 2, 'one step removes a limited number of rows')
  t.is((await storage.listAuditEvents(2000)).length, 100)
})

const counter = (id: string, emptyAt: number, readyAt = 0) => ({ id, emptyAt, readyAt })
const known = (network: string, expiresAt: number, who = 'alice') => ({ who, network, expiresAt })

/** As it was counted for so many seconds, by a process that knew of nothing else. */
const counted = (id: string, seconds: number, readyAt = 0) => ({
  ...counter(id, start + seconds, readyAt),
  seconds,
  max: 100,
  writtenAt: start,
})

contract(
  'saveCounters adds to what is stored, whoever wrote it; listCounters has those that are not forgotten',
  async (t, storage) => {
    await storage.saveCounters([counted('a', 10), counted('b', 5, start + 20)], [], [])
    await storage.saveCounters([counted('a', 20, start + 7)], [{ id: 'c', emptyAt: start + 90 }], [])
    const list = (now: number, limit = 10) => storage.listCounters(now, limit)

    t.deepEqual(await list(start), [counter('a', start + 30, start + 7), counter('b', start + 5, start + 20)])
    t.deepEqual(await list(start + 20), [counter('a', start + 30, start + 7)])
    t.deepEqual(await list(start, 1), [counter('a', start + 30, start + 7)])
    await storage.saveCounters([counted('a', 60), counted('a', 60)], [], [])
    t.deepEqual(await list(start, 1), [counter('a', start + 100, start + 7)])
  },
)

contract('saveCounters forgets a counter, but not what another process has added to it', async (t, storage) => {
  await storage.saveCounters([counted('a', 10), counted('b', 10)], [], [])
  const gone = ['a', 'b'].map(id => ({ id, emptyAt: start + 10 }))
  await storage.saveCounters([counted('b', 5)], [], [])
  await storage.saveCounters([], gone, [])
  t.deepEqual(await storage.listCounters(start, 10), [counter('b', start + 15)])
  // What is forgotten and counted again begins anew.
  await storage.saveCounters([counted('b', 5)], [{ id: 'b', emptyAt: start + 15 }], [])
  t.deepEqual(await storage.listCounters(start, 10), [counter('b', start + 5)])
})

contract('a network is known to who signed in there, until it expires', async (t, storage) => {
  await storage.saveCounters([], [], [known('home', start + 10), known('home', start + 20), known('office', start + 5)])

  t.true(await storage.isKnownNetwork('alice', 'home', start + 19))
  t.false(await storage.isKnownNetwork('alice', 'home', start + 20))
  t.false(await storage.isKnownNetwork('alice', 'office', start + 5))
  t.false(await storage.isKnownNetwork('alice', 'cafe', start))
  t.false(await storage.isKnownNetwork('bob', 'home', start))
})

contract('of the networks of one user the 50 that expire last are kept', async (t, storage) => {
  const many = Array.from({ length: 60 }, (_, i) => known(`n${i}`, start + 100 + i))
  await storage.saveCounters([], [], [known('home', start + 100, 'bob'), ...many])

  t.false(await storage.isKnownNetwork('alice', 'n9', start))
  t.true(await storage.isKnownNetwork('alice', 'n10', start))
  t.true(await storage.isKnownNetwork('bob', 'home', start))
})

contract('pruneCounters forgets what has expired, in limited steps', async (t, storage) => {
  const many = Array.from({ length: 1200 }, (_, i) => counted(`c${i}`, i < 1100 ? 0 : 100))
  await storage.saveCounters(many, [], [known('home', start), known('office', start + 100)])
  const left = async () => (await storage.listCounters(0, 2000)).length

  const removed = [await storage.pruneCounters(start + 50)]
  t.true((await left()) > 100, 'one step removes a limited number of rows')
  while (removed.at(-1) !== 0 && removed.length < 1200) removed.push(await storage.pruneCounters(start + 50))
  t.is(
    removed.reduce((sum, count) => sum + count, 0),
    1101,
  )
  t.is(await left(), 100)
  t.false(await storage.isKnownNetwork('alice', 'home', 0))
  t.true(await storage.isKnownNetwork('alice', 'office', 0))
})

contract('check resolves while the database takes writes', async (t, storage) => {
  await t.notThrowsAsync(storage.check())
})

// What metrics tell.

contract('countLiveSessions counts those that are live, and no step looks at more than so many', async (t, storage) => {
  await populate(storage)
  const { live: before, next } = await storage.countLiveSessions('', start)
  t.is(next, '')
  await storage.createSession(session('ses_live'), { version: 1 }, event('session.created'))
  await storage.createSession(session('ses_ended'), { version: 1 }, event('session.created'))
  await storage.revokeSessions({ id: 'ses_ended' }, 'logout', event('session.revoked'))
  t.deepEqual(await storage.countLiveSessions('', start), { live: before + 1, next: '' })
  t.deepEqual(await storage.countLiveSessions('', start + 1000 * 86_400), { live: 0, next: '' })
})
