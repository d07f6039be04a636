/**
 * What the contract of `src/storage/storage.ts` says of verbs that several nodes call at once: two storages on one database, on each
 * dialect. SQLite lets them take turns; on PostgreSQL each rule needs a lock or a condition, and here it is broken without.
 */
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { clientUpdate } from '../../src/clients/client.ts'
import { firstGeneration, type Session } from '../../src/sessions/session.ts'
import { disabledUpdate, ownPasswordUpdate, passwordUpdate } from '../../src/sessions/user_change.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { maxKnownNetworks } from '../../src/throttle/known_networks.ts'
import { databases } from '../_databases.ts'
import { startTime as start } from '../_server.ts'
import { findSession } from '../_storages.ts'
import { auditCount, client, event, ids, populate, refresh, session, signingKey, user } from './_records.ts'

type Nodes = readonly [Storage, Storage]

/** Times that a race is run: by how much who is ahead of whom differs. */
const rounds = Array.from({ length: 20 }, (_, round) => round)

/** One test on each dialect, of two nodes on a database of their own. */
function onTwoNodes(title: string, run: (t: ExecutionContext, nodes: Nodes) => Promise<void>) {
  for (const [dialect, create] of Object.entries(databases)) {
    // One after the other: what waits here waits for the other node, and not for another test.
    test.serial(`${dialect}: ${title}`, async t => {
      const { open } = await create(t)
      await run(t, [await open(), await open()])
    })
  }
}

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

/** Calls so many times at once, on both nodes in turn. */
const atOnce = <T>(nodes: Nodes, count: number, call: (node: Storage, i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(times(count, i => call(nodes[i % 2]!, i)))

const count = (answers: readonly unknown[], answer: unknown) => answers.filter(one => one === answer).length

/** How many events of a type there were, those that a flood had counted included. */
async function eventsOf(nodes: Nodes, type: string): Promise<number> {
  for (const node of nodes) await node.writeFloods(start + 86_400)
  return (await nodes[0].listAuditEvents(10_000, { type })).reduce((sum, { count = 1 }) => sum + count, 0)
}

const signIn = (storage: Storage, one: Session, limit?: number) =>
  storage.createSession(one, { version: 1 }, event('session.created', one.createdAt), limit)

// Sign-ins against what must end them.

for (const [what, end] of [
  [
    'another password',
    (node: Storage, id: string) =>
      node.changeUser(id, passwordUpdate('new', event('user.password_changed', start + 1))),
  ],
  [
    'disabling the user',
    (node: Storage, id: string) => node.changeUser(id, disabledUpdate(true, event('user.disabled', start + 1))),
  ],
  ['removing the user', (node: Storage, id: string) => node.removeUser(id, event('user.removed', start + 1))],
] as const) {
  onTwoNodes(`of sign-ins beside ${what} on another node no session is left`, async (t, nodes) => {
    await nodes[0].createClient(client('app'), event('client.created'))
    const outcomes = new Set<boolean>()
    for (const round of rounds) {
      const { id } = user(`user${round}`)
      await nodes[0].createUsers([user(`user${round}`)], event('user.created'))
      const ended = end(nodes[1], id)
      const signIns = atOnce(nodes, 6, (node, i) => signIn(node, session(`${round}-${i}`, { userId: id })))
      t.true(await ended)
      for (const outcome of await signIns) outcomes.add(outcome)
      t.deepEqual(await nodes[0].listLiveSessions({ userId: id }, start + 1, 100), [])
    }
    // Its twin: without the end of the user they are let in.
    await nodes[0].createUsers([user('alice')], event('user.created'))
    t.deepEqual(
      await atOnce(nodes, 6, (node, i) => signIn(node, session(`alice-${i}`))),
      times(6, () => true),
    )
  })
}

onTwoNodes('of sign-ins beside the removal of the client on another node no session is left', async (t, nodes) => {
  await nodes[0].createUsers([user('alice')], event('user.created'))
  for (const round of rounds) {
    const clientId = `app${round}`
    await nodes[0].createClient(client(clientId), event('client.created'))
    const [removed] = await Promise.all([
      nodes[1].removeClient(clientId, event('client.removed')),
      atOnce(nodes, 6, (node, i) => signIn(node, session(`${round}-${i}`, { clientId }))),
    ])
    t.true(removed)
    t.deepEqual(await nodes[0].listLiveSessions({ clientId }, start, 100), [])
  }
})

onTwoNodes('a better hash of the old password that comes late does not bring that back', async (t, nodes) => {
  await nodes[0].createClient(client('app'), event('client.created'))
  for (const round of rounds) {
    const { id } = user(`user${round}`)
    await nodes[0].createUsers([user(`user${round}`)], event('user.created'))
    await Promise.all([
      nodes[0].createSession(
        session(`s${round}`, { userId: id }),
        { version: 1, passwordHash: 'old password, better hash' },
        event('session.created'),
      ),
      nodes[1].changeUser(id, passwordUpdate('new', event('user.password_changed', start + 1))),
    ])
    t.like(await nodes[0].findUser(id), { passwordHash: 'new', credentialVersion: 2 })
  }
})

onTwoNodes('20 sign-ins at once leave exactly as many live sessions as the limit lets', async (t, nodes) => {
  await populate(nodes[0])
  const limit = 5
  for (const round of rounds.slice(0, 5)) {
    const made = await atOnce(nodes, 20, (node, i) =>
      signIn(node, session(`${round}-${i}`, { lastSeenAt: start + round }), limit),
    )
    t.is(count(made, true), 20)
    const live = await nodes[0].listLiveSessions({ userId: 'usr_alice' }, start + round, 1000)
    t.is(live.length, limit, `round ${round}`)
  }
  t.is(await eventsOf(nodes, 'session.created'), 100)
  t.is(await eventsOf(nodes, 'session.revoked'), 100 - limit)
})

// One session on two nodes.

onTwoNodes('50 refreshes of one token at once give one rotation and 49 retries', async (t, nodes) => {
  await populate(nodes[0], session('a'))
  for (let generation = firstGeneration; generation < firstGeneration + 5; generation++) {
    const kinds = (await atOnce(nodes, 50, node => refresh(node, 'a', generation))).map(({ kind }) => kind)
    t.deepEqual([count(kinds, 'rotated'), count(kinds, 'retried')], [1, 49])
    t.like(await findSession(nodes[0], 'a'), { generation: generation + 1, parentGeneration: generation })
  }
})

onTwoNodes('refreshes of many sessions at once, in any order, rotate each once and fail none', async (t, nodes) => {
  const all = times(40, i => session(`s${i}`))
  await populate(nodes[0], ...all)
  const asked = rounds.slice(0, 6).flatMap(round => (round % 2 === 0 ? all : all.toReversed()))
  const kinds = await Promise.all(
    asked.map(async ({ id }, i) => (await refresh(nodes[i % 2]!, id, firstGeneration)).kind),
  )
  t.deepEqual([count(kinds, 'rotated'), count(kinds, 'retried')], [40, 200])
})

onTwoNodes('an old token beside the newest ends the session, whoever comes first', async (t, nodes) => {
  await populate(nodes[0], ...rounds.map(round => session(`s${round}`)))
  for (const round of rounds) {
    const id = `s${round}`
    for (let i = 0; i < 3; i++) await refresh(nodes[0], id, firstGeneration + i)
    await Promise.all([
      atOnce(nodes, 4, node => refresh(node, id, firstGeneration + 3)),
      refresh(nodes[1], id, firstGeneration),
    ])
    t.like(await findSession(nodes[0], id), { revokedReason: 'refresh_token_reuse' })
  }
  t.is(await eventsOf(nodes, 'session.reused'), rounds.length)
})

for (const [what, end] of [
  [
    'a logout',
    (node: Storage, _: string, id: string) => node.revokeSessions({ id }, 'logout', event('session.revoked')),
  ],
  [
    'a logout everywhere',
    (node: Storage, userId: string) => node.revokeSessions({ userId }, 'logout', event('session.revoked')),
  ],
  [
    'another password',
    (node: Storage, userId: string) => node.changeUser(userId, passwordUpdate('new', event('user.password_changed'))),
  ],
] as const) {
  onTwoNodes(`a session that ${what} has ended stays ended beside refreshes on another node`, async (t, nodes) => {
    await nodes[0].createClient(client('app'), event('client.created'))
    for (const round of rounds) {
      const [{ id: userId }, id] = [user(`user${round}`), `s${round}`]
      await nodes[0].createUsers([user(`user${round}`)], event('user.created'))
      await signIn(nodes[0], session(id, { userId }))
      const refreshes = atOnce(nodes, 6, node => refresh(node, id, firstGeneration))
      await Promise.all([end(nodes[1], userId, id), refreshes])
      t.truthy((await findSession(nodes[0], id))?.revokedAt)
      t.is((await refresh(nodes[0], id, firstGeneration)).kind, 'revoked')
    }
  })
}

onTwoNodes('what is ended from two nodes at once is counted once', async (t, nodes) => {
  await populate(nodes[0], ...times(30, i => session(`s${i}`)))
  const ended = await atOnce(nodes, 6, node =>
    node.revokeSessions({ userId: 'usr_alice' }, 'logout', event('session.revoked')),
  )
  t.is(
    ended.reduce((sum, number) => sum + number, 0),
    30,
  )
})

onTwoNodes(
  'a session that is removed beside a refresh on another node is gone, or was seen meanwhile',
  async (t, nodes) => {
    await populate(nodes[0], ...rounds.map(round => session(`s${round}`)))
    for (const round of rounds) {
      const id = `s${round}`
      const [removed, { kind }] = await Promise.all([
        nodes[0].removeSessions([{ id, lastSeenAt: start }]),
        refresh(nodes[1], id, firstGeneration, start + 1),
      ])
      const left = await findSession(nodes[0], id)
      t.deepEqual([removed, kind], left === undefined ? [1, 'unknown'] : [0, 'rotated'])
    }
  },
)

// Users.

onTwoNodes('of two changes of the own password at once one counts', async (t, nodes) => {
  await nodes[0].createClient(client('app'), event('client.created'))
  for (const round of rounds) {
    const { id } = user(`user${round}`)
    await nodes[0].createUsers([user(`user${round}`)], event('user.created'))
    for (const name of ['a', 'b']) await signIn(nodes[0], session(`${round}-${name}`, { userId: id }))
    const changed = await atOnce(nodes, 2, (node, i) =>
      node.changeUser(
        id,
        ownPasswordUpdate({ passwordHash: `new ${i}`, version: 1 }, row => row, event('user.password_changed', start)),
        `${round}-${'ab'[i]}`,
      ),
    )
    const winner = changed.findIndex(one => one !== undefined)
    t.is(count(changed, undefined), 1)
    t.like(await nodes[0].findUser(id), { credentialVersion: 2, passwordHash: `new ${winner}` })
    t.deepEqual(ids(await nodes[0].listLiveSessions({ userId: id }, start, 10)), [`${round}-${'ab'[winner]}`])
  }
})

onTwoNodes('no change of a user is lost to another one', async (t, nodes) => {
  await populate(nodes[0])
  await atOnce(nodes, 20, (node, i) =>
    node.changeUser('usr_alice', passwordUpdate(`hash ${i}`, event('user.password_changed'))),
  )
  t.is((await nodes[0].findUser('usr_alice'))?.credentialVersion, 21)
  const disabled = await atOnce(nodes, 10, node =>
    node.changeUser('usr_alice', disabledUpdate(true, event('user.disabled'))),
  )
  t.is(count(disabled, true), 1)
  t.is((await nodes[0].findUser('usr_alice'))?.credentialVersion, 22)
})

for (const [what, one, other] of [
  ['one name', 'alice', 'alice'],
  ['one name in two cases', 'alice', 'ALICE'],
  ['two names that look alike (NFKC_Casefold)', 'admin', 'ａｄｍｉｎ'],
  ['two names that look like a third', 'ﬁve', 'ﬁｖｅ'],
] as const) {
  onTwoNodes(`of two users of ${what} one is made`, async (t, nodes) => {
    for (const round of rounds) {
      const [first, second] = [one, other].map((name, i) => user(`${name}${round}`, { id: `usr_${round}_${i}` }))
      const taken = await Promise.all([
        nodes[0].createUsers([first!], event('user.created')),
        nodes[1].createUsers([second!], event('user.created')),
      ])
      t.deepEqual(taken.map(({ length }) => length).toSorted(), [0, 1], `round ${round}`)
    }
    t.is((await nodes[0].listUsers()).length, rounds.length)
    t.is(await eventsOf(nodes, 'user.created'), rounds.length)
  })
}

onTwoNodes('of two lists of the same users in any order one is made, and none in part', async (t, nodes) => {
  for (const round of rounds) {
    const all = times(10, i => user(`user${round}-${i}`))
    const others = all.map(one => ({ ...one, id: `${one.id}_b` })).toReversed()
    const taken = await Promise.all([
      nodes[0].createUsers(all, event('user.created')),
      nodes[1].createUsers(others, event('user.created')),
    ])
    t.deepEqual(
      taken.map(({ length }) => length).toSorted((a, b) => a - b),
      [0, 10],
    )
  }
  t.is((await nodes[0].listUsers()).length, 10 * rounds.length)
})

onTwoNodes('of two imports of the same names on two nodes one creates all of them', async (t, nodes) => {
  const all = times(2000, i => user(`user${i}`))
  const both = await Promise.allSettled(
    nodes.map((node, i) =>
      node.importUsers(
        all.map(one => ({ ...one, id: `${one.id}_${i}` })),
        event('user.created'),
        () => start,
      ),
    ),
  )
  t.is(both.filter(one => one.status === 'fulfilled' && one.value.length === 0).length, 1)
  t.is((await nodes[0].listUsers()).length, 2000)
  t.is(await eventsOf(nodes, 'user.created'), 2000)
})

onTwoNodes('who signs up on another node during an import keeps the name, or the import has it', async (t, nodes) => {
  for (const round of rounds.slice(0, 5)) {
    const name = `user${round}`
    const all = times(300, i => user(`${name}-${i}`))
    const [imported, added] = await Promise.all([
      nodes[0].importUsers(all, event('user.created'), () => start),
      nodes[1].createUsers([user(`${name}-150`, { id: `usr_new${round}` })], event('user.created')),
    ])
    const found = await nodes[1].findUserByUsername(`${name}-150`)
    if (added.length === 0) {
      t.is(imported.length, 1)
      t.is(found?.id, `usr_new${round}`)
      t.is(await nodes[1].findUserByUsername(`${name}-0`), undefined)
    } else {
      t.deepEqual(imported, [])
      t.is(found?.id, `usr_${name}-150`)
    }
  }
})

// What is there once.

onTwoNodes('nodes that start at once on an empty database bootstrap once', async (t, nodes) => {
  const made = await atOnce(nodes, 10, (node, i) =>
    node.bootstrap(client(`app${i}`), user(`admin${i}`), event('user.created')),
  )
  t.is(count(made, true), 1)
  t.deepEqual([(await nodes[0].listUsers()).length, (await nodes[0].listClients()).length], [1, 1])
  t.is(await auditCount(nodes[0]), 1)
})

onTwoNodes('a first user or client beside a bootstrap leaves one of the two', async (t, [first, second]) => {
  const [isBootstrapped] = await Promise.all([
    first.bootstrap(client('app'), user('admin'), event('user.created')),
    second.createUsers([user('alice')], event('user.created')),
    second.createClient(client('web'), event('client.created')),
  ])
  const names = (await first.listUsers()).map(({ username }) => username)
  t.deepEqual(names, isBootstrapped ? ['admin', 'alice'] : ['alice'])
})

onTwoNodes('nodes that miss a signing key at once add one, and so does each rotation', async (t, nodes) => {
  let newest: string | undefined
  for (const round of rounds) {
    const added = await atOnce(nodes, 8, (node, i) =>
      node.addSigningKey(signingKey(`k${round}-${i}`, start + round), newest, event('key.created')),
    )
    t.is(count(added, true), 1, `round ${round}`)
    const keys = await nodes[0].listSigningKeys()
    t.is(keys.length, round + 1)
    newest = keys.at(-1)!.kid
  }
  t.is(await eventsOf(nodes, 'key.created'), rounds.length)
})

onTwoNodes(
  'keys are sealed anew and removed on two nodes at once without one waiting for the other',
  async (t, nodes) => {
    const kids = times(6, i => `k${i}`)
    for (const [i, kid] of kids.entries())
      await nodes[0].addSigningKey(signingKey(kid, start + i), kids[i - 1], event('key.created'))
    const jwes = kids.map(kid => [kid, `sealed ${kid}`] as const)
    for (const _ of rounds) {
      const replaced = await Promise.all([
        nodes[0].replacePrivateJwes(new Map(jwes), event('key.created')),
        nodes[1].replacePrivateJwes(new Map(jwes.toReversed()), event('key.created')),
      ])
      t.deepEqual(replaced, [6, 6])
    }
    const removed = await Promise.all([
      nodes[0].removeSigningKeys(kids.slice(0, 4), event('key.removed')),
      nodes[1].removeSigningKeys(kids.slice(0, 4).toReversed(), event('key.removed')),
      nodes[1].replacePrivateJwes(new Map(jwes.toReversed()), event('key.created')),
    ])
    t.is(removed[0] + removed[1], 4)
    t.deepEqual(
      (await nodes[0].listSigningKeys()).map(({ kid, privateJwe }) => [kid, privateJwe]),
      jwes.slice(4).map(pair => [...pair]),
    )
  },
)

onTwoNodes(
  'since when a master secret is in use is written down once, and until when the last one said',
  async (t, nodes) => {
    for (const round of rounds) {
      const note = (node: Storage, i: number) =>
        node.noteMasterSecret(
          { name: `secret${round}`, usedSince: start + round, usedUntil: start + 100 + i },
          event('secret.in_use', start + round),
        )
      await atOnce(nodes, 8, note)
      const uses = await nodes[0].listMasterSecretUses()
      t.deepEqual(
        uses.find(({ name }) => name === `secret${round}`),
        { name: `secret${round}`, usedSince: start + round, usedUntil: start + 107 },
      )
    }
    t.is(await auditCount(nodes[0]), rounds.length)
  },
)

onTwoNodes('what counts once counts once on all nodes', async (t, nodes) => {
  for (const round of rounds) {
    const answers = await atOnce(nodes, 20, node =>
      node.consumeOnce(`id${round}`, start + 60, event('token.revoked', start)),
    )
    t.is(count(answers, true), 1)
  }
  t.is(await eventsOf(nodes, 'token.revoked'), rounds.length)
})

onTwoNodes('of two clients of one id one is made', async (t, nodes) => {
  for (const round of rounds) {
    const made = await atOnce(nodes, 6, (node, i) =>
      node.createClient(client(`app${round}`, { scope: `s${i}` }), event('client.created')),
    )
    t.is(count(made, true), 1)
    t.is((await nodes[0].findClient(`app${round}`))?.scope, `s${made.indexOf(true)}`)
  }
  t.is(await eventsOf(nodes, 'client.created'), rounds.length)
})

onTwoNodes('no change of a client is lost to another one', async (t, nodes) => {
  await nodes[0].createClient(client('app', { scope: '' }), event('client.created'))
  await atOnce(nodes, 30, (node, i) =>
    node.changeClient(
      'app',
      clientUpdate(now => ({ ...now, scope: `${now.scope} s${i}`.trim() }), event('client.updated')),
    ),
  )
  const { scope } = (await nodes[0].findClient('app'))!
  t.deepEqual(scope.split(' ').toSorted(), times(30, i => `s${i}`).toSorted())
})

// Counters.

const counted = (id: string, seconds: number) => ({
  id,
  emptyAt: start + seconds,
  readyAt: 0,
  seconds,
  max: 100_000,
  writtenAt: start,
})

onTwoNodes('what nodes count at once is added up, in any order', async (t, nodes) => {
  const names = times(10, i => `counter${i}`)
  await atOnce(nodes, 40, (node, i) =>
    node.saveCounters(
      (i % 4 < 2 ? names : names.toReversed()).map(name => counted(name, 10)),
      [],
      [],
    ),
  )
  const stored = await nodes[0].listCounters(start, 100)
  t.deepEqual(
    stored.map(({ id, emptyAt }) => `${id} ${emptyAt - start}`).toSorted(),
    names.map(id => `${id} 400`),
  )
})

onTwoNodes('a counter that is forgotten beside another count keeps what the other has counted', async (t, nodes) => {
  for (const round of rounds) {
    const id = `c${round}`
    await nodes[0].saveCounters([counted(id, 30)], [], [])
    await Promise.all([
      nodes[0].saveCounters([], [{ id, emptyAt: start + 30 }], []),
      nodes[1].saveCounters([counted(id, 5)], [], []),
    ])
    const left = (await nodes[0].listCounters(start, 100)).find(one => one.id === id)
    t.true([5, 35].includes((left?.emptyAt ?? 0) - start), `${left?.emptyAt}`)
  }
})

onTwoNodes('of the networks that nodes note at once those that expire last are kept, and no more', async (t, nodes) => {
  for (const round of rounds.slice(0, 5)) {
    const network = (i: number) => ({ who: `who${round}`, network: `n${i}`, expiresAt: start + 100 + i })
    await atOnce(nodes, 8, (node, i) =>
      node.saveCounters(
        [],
        [],
        times(10, j => network(i + 8 * j)),
      ),
    )
    const known = await Promise.all(times(80, i => nodes[0].isKnownNetwork(`who${round}`, `n${i}`, start)))
    t.deepEqual(
      known,
      times(80, i => i >= 80 - maxKnownNetworks),
    )
  }
})

// Pruning on every node at once, beside those who write.

onTwoNodes('nodes that prune at once beside writers remove what is due once, and nothing else', async (t, nodes) => {
  await populate(nodes[0])
  await atOnce(nodes, 60, (node, i) => node.consumeOnce(`old${i}`, start))
  await nodes[0].saveCounters(
    times(60, i => ({ ...counted(`old${i}`, 10), max: 10 })),
    [],
    times(20, i => ({ who: `who${i}`, network: 'old', expiresAt: start })),
  )
  const ended = times(60, i => session(`old${i}`, { idleExpiresAt: start + 10 }))
  for (const one of ended) await signIn(nodes[0], one)
  const [consumed, counters] = await Promise.all([
    atOnce(nodes, 6, node => node.pruneConsumed(start)),
    atOnce(nodes, 6, node => node.pruneCounters(start + 10)),
    atOnce(nodes, 6, node => node.pruneSessions('', start + 10)),
    atOnce(nodes, 20, (node, i) => node.consumeOnce(`new${i}`, start + 60)),
    atOnce(nodes, 20, (node, i) => node.saveCounters([counted(`new${i}`, 60)], [], [])),
    atOnce(nodes, 20, (node, i) => signIn(node, session(`new${i}`))),
    atOnce(nodes, 20, (node, i) => refresh(node, `old${i}`, firstGeneration, start + 20)),
  ])
  const sum = (numbers: readonly number[]) => numbers.reduce((all, number) => all + number, 0)
  t.deepEqual([sum(consumed), sum(counters)], [60, 80])
  t.is((await nodes[0].listCounters(start, 1000)).length, 20)
  t.is((await nodes[0].listLiveSessions({}, start, 1000)).length, 20)
  t.true((await Promise.all(times(20, i => nodes[0].isConsumed(`new${i}`)))).every(Boolean))
})

onTwoNodes(
  'the audit trail is pruned from the oldest on, by every node at once, beside those who add',
  async (t, nodes) => {
    for (let at = 0; at < 40; at++) await nodes[at % 2]!.addAuditEvents([event('client.created', start + at)])
    const [pruned] = await Promise.all([
      atOnce(nodes, 6, node => node.pruneAuditEvents(start + 19)),
      atOnce(nodes, 30, node => node.addAuditEvents([event('client.updated', start + 100)])),
    ])
    t.is(
      pruned.reduce((sum, number) => sum + number, 0),
      20,
    )
    const left = await nodes[0].listAuditEvents(1000)
    t.is(left.filter(({ at }) => at === start + 100).length, 30)
    t.deepEqual(
      left.filter(({ at }) => at < start + 100).map(({ at }) => at - start),
      times(20, i => 39 - i),
    )
  },
)

onTwoNodes('who pages through the audit trail while nodes write to it misses no event', async (t, nodes) => {
  const all = times(120, i => ({ ...event('client.updated', start), requestId: `r${i}` }))
  const writing = atOnce(nodes, all.length, (node, i) => node.addAuditEvents([all[i]!]))
  const pages = async () => {
    const seen: (string | undefined)[] = []
    for (let after: number | undefined, isLast = false; !isLast; ) {
      const page = await nodes[0].pageAuditEvents({}, { after, limit: 25 })
      seen.push(...page.events.map(({ requestId }) => requestId))
      isLast = page.next === undefined
      after = page.next
    }
    return seen
  }
  const meanwhile = await Promise.all(times(4, pages))
  await writing
  for (const seen of meanwhile) t.is(new Set(seen).size, seen.length, 'none twice')
  t.deepEqual((await pages()).toSorted(), all.map(({ requestId }) => requestId).toSorted())
})

// All of it at once.

const mixedVerb = fc.record({
  verb: fc.constantFrom(
    'signIn',
    'signIn',
    'signInWithLimit',
    'refresh',
    'refresh',
    'logout',
    'logoutEverywhere',
    'changePassword',
    'disable',
    'changeClient',
    'removeSession',
    'pruneSessions',
    'removeUser',
    'removeClient',
    'consume',
    'count',
  ),
  node: fc.constantFrom(0, 1),
  user: fc.constantFrom(0, 1),
  client: fc.constantFrom(0, 1),
  session: fc.nat(5),
})

onTwoNodes('property: whatever is called at once, nothing waits for itself and no rule is broken', async (t, nodes) => {
  let world = 0
  await fc.assert(
    fc.asyncProperty(fc.array(mixedVerb, { minLength: 20, maxLength: 40 }), async verbs => {
      world++
      const [users, clients] = [times(2, i => user(`user${world}-${i}`)), times(2, i => client(`app${world}-${i}`))]
      await nodes[0].createUsers(users, event('user.created'))
      for (const one of clients) await nodes[0].createClient(one, event('client.created'))
      const nameOf = (i: number) => `${world}-${i}`
      const stored = (i: number) =>
        session(nameOf(i), {
          userId: users[i % 2]!.id,
          clientId: clients[(i >> 1) % 2]!.id,
          idleExpiresAt: start + 900,
        })
      for (let i = 0; i < 6; i++) await signIn(nodes[0], stored(i))
      const call = async (verb: (typeof verbs)[number], i: number) => {
        const node = nodes[verb.node]!
        const [userId, clientId, id] = [users[verb.user]!.id, clients[verb.client]!.id, nameOf(verb.session)]
        const signInNow = (limit?: number) => signIn(node, session(`${world}-new${i}`, { userId, clientId }), limit)
        switch (verb.verb) {
          case 'signIn':
            return signInNow()
          case 'signInWithLimit':
            return signInNow(2)
          case 'refresh':
            return node.changeSession(id, row =>
              row === undefined || row.revokedAt !== undefined
                ? { outcome: 'ended' }
                : { outcome: 'rotated', session: { ...row, generation: row.generation + 1 } },
            )
          case 'logout':
            return node.revokeSessions({ id }, 'logout', event('session.revoked'))
          case 'logoutEverywhere':
            return node.revokeSessions({ userId }, 'logout', event('session.revoked'))
          case 'changePassword':
            return node.changeUser(userId, passwordUpdate(`hash ${i}`, event('user.password_changed')))
          case 'disable':
            return node.changeUser(userId, disabledUpdate(true, event('user.disabled')))
          case 'changeClient':
            return node.changeClient(
              clientId,
              clientUpdate(now => ({ ...now, scope: `${i}` }), event('client.updated')),
            )
          case 'removeSession':
            return node.removeSessions([stored(verb.session), stored((verb.session + 1) % 6)], event('session.revoked'))
          case 'pruneSessions':
            return node.pruneSessions('', start + 900)
          case 'removeUser':
            return node.removeUser(userId, event('user.removed'))
          case 'removeClient':
            return node.removeClient(clientId, event('client.removed'))
          case 'consume':
            return node.consumeOnce(nameOf(verb.session), start, event('token.revoked'))
          case 'count':
            return node.saveCounters([counted(nameOf(verb.session), 1), counted(nameOf(verb.session + 1), 1)], [], [])
        }
      }
      // Everything on both nodes before anything is answered; a rejection would be a deadlock that was not resolved.
      await Promise.all(verbs.map(call))
      for (const { id } of users) {
        const found = await nodes[0].findUser(id)
        const live = await nodes[1].listLiveSessions({ userId: id }, start, 100)
        if (found === undefined || found.disabledAt !== undefined) t.deepEqual(live, [])
        for (const { clientId } of live) t.truthy(await nodes[0].findClient(clientId))
      }
    }),
    { numRuns: 25 },
  )
})
