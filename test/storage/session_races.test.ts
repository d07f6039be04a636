/** Whatever changes sessions, at the same moment on several nodes of one PostgreSQL: nothing is lost, nothing is done twice, and no two wait for one another. */
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import fc from 'fast-check'
import type { AuditEvent, AuditEventType } from '../../src/audit/audit.ts'
import { decideRefresh, refreshChange, renewSession } from '../../src/sessions/refresh.ts'
import { firstGeneration, type Session } from '../../src/sessions/session.ts'
import { decideTouch } from '../../src/sessions/touch.ts'
import { disabledUpdate, ownPasswordUpdate, passwordUpdate } from '../../src/sessions/user_change.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { databases } from '../_databases.ts'
import { startTime as start } from '../_server.ts'
import { caller, client, policy, session, user } from './_records.ts'

const nodes = 3
const limit = 3
const users = ['alice', 'bob', 'carol']
const clients = ['app', 'web']

/** Of an operator: none is part of a flood, so each is a row. */
const event = (type: AuditEventType, about: Partial<AuditEvent> = {}): AuditEvent => ({ at: start, type, ...about })

const who = fc.nat({ max: users.length - 1 })
const which = fc.nat({ max: 11 })
const commands = {
  refresh: fc.record({ kind: fc.constant('refresh' as const), which, age: fc.constantFrom(0, 0, 0, 1, 3) }),
  touch: fc.record({ kind: fc.constant('touch' as const), which }),
  logout: fc.record({ kind: fc.constant('logout' as const), which }),
  logoutAll: fc.record({ kind: fc.constant('logout all' as const), who, exceptId: fc.option(which) }),
  revokeClient: fc.record({ kind: fc.constant('revoke client' as const), client: fc.constantFrom(...clients) }),
  signIn: fc.record({ kind: fc.constant('sign in' as const), who, client: fc.constantFrom(...clients) }),
  changePassword: fc.record({ kind: fc.constant('change password' as const), which }),
  setPassword: fc.record({ kind: fc.constant('set password' as const), who }),
  disable: fc.record({ kind: fc.constant('disable' as const), who, isDisabled: fc.boolean() }),
  removeUser: fc.record({ kind: fc.constant('remove user' as const), who }),
  removeClient: fc.record({ kind: fc.constant('remove client' as const), client: fc.constantFrom(...clients) }),
  removeSessions: fc.record({ kind: fc.constant('remove sessions' as const), first: which }),
  prune: fc.record({ kind: fc.constant('prune' as const) }),
}
type Kind = keyof typeof commands
type Command = ReturnType<(typeof commands)[Kind]['generate']>['value']

/** Mostly what happens mostly. */
const weighted = (kinds: readonly (readonly [Kind, number])[]) =>
  fc.oneof(...kinds.map(([kind, weight]) => ({ arbitrary: commands[kind] as fc.Arbitrary<Command>, weight })))

/** Sessions of this run, by turns of the users and the clients. */
function sessionsOf(run: string): Session[] {
  return Array.from({ length: 12 }, (_, i) =>
    session(`${run}${String((i * 7) % 12).padStart(2, '0')}`, {
      userId: `usr_${run}${users[i % 3]}`,
      clientId: `${run}${clients[i % 2]}`,
    }),
  )
}

type Done = Readonly<{ rotated?: string; renewed?: string; revoked?: number; began?: Session }>

async function execute(storage: Storage, run: string, command: Command, turn: number): Promise<Done> {
  const userId = (index: number) => `usr_${run}${users[index]}`
  const sessionId = (index: number) => `${run}${String(index).padStart(2, '0')}`
  const revoke = async (filter: Parameters<Storage['revokeSessions']>[0]) => ({
    revoked: await storage.revokeSessions(filter, 'logout', event('session.revoked', { detail: run })),
  })
  switch (command.kind) {
    case 'refresh': {
      const id = sessionId(command.which)
      const decision = await storage.changeSession(id, row => {
        const generation = (row?.generation ?? firstGeneration) - command.age
        const presented = { sessionId: id, generation, clientId: row?.clientId ?? '', caller }
        return refreshChange(decideRefresh(row, presented, start, policy), start, caller)
      })
      return decision.kind === 'rotated' ? { rotated: `${id} ${decision.session.generation}` } : {}
    }
    case 'touch': {
      const touch = { generation: firstGeneration, caller }
      await storage.changeSession(sessionId(command.which), row => decideTouch(row, touch, start, policy))
      return {}
    }
    case 'logout':
      return revoke({ id: sessionId(command.which) })
    case 'logout all': {
      const exceptId = command.exceptId === null ? undefined : sessionId(command.exceptId)
      return revoke({ userId: userId(command.who), exceptId })
    }
    case 'revoke client':
      return revoke({ clientId: run + command.client })
    case 'sign in': {
      const began = session(`${run}new${turn}`, { userId: userId(command.who), clientId: run + command.client })
      const found = await storage.findUser(began.userId)
      const version = found?.credentialVersion ?? 1
      const created = event('session.created', { detail: run })
      return (await storage.createSession(began, { version, passwordHash: 'better' }, created, limit)) ? { began } : {}
    }
    case 'change password': {
      const id = sessionId(command.which)
      const { userId: owner } = sessionsOf(run).find(one => one.id === id)!
      const found = await storage.findUser(owner)
      const credentials = { passwordHash: `own ${turn}`, version: found?.credentialVersion ?? 1 }
      const renew = (row: Session | undefined) => renewSession(row, start, policy, caller)
      const renewed = await storage.changeUser(
        owner,
        ownPasswordUpdate(credentials, renew, event('user.password_changed')),
        id,
      )
      return renewed === undefined ? {} : { renewed: `${id} ${renewed.generation}` }
    }
    case 'set password':
      await storage.changeUser(userId(command.who), passwordUpdate(`set ${turn}`, event('user.password_changed')))
      return {}
    case 'disable': {
      const type = command.isDisabled ? 'user.disabled' : 'user.enabled'
      await storage.changeUser(userId(command.who), disabledUpdate(command.isDisabled, event(type)))
      return {}
    }
    case 'remove user':
      await storage.removeUser(userId(command.who), event('user.removed'))
      return {}
    case 'remove client':
      await storage.removeClient(run + command.client, event('client.removed'))
      return {}
    case 'remove sessions': {
      const some = [5, 0, 2, 1].map(i => sessionsOf(run)[(command.first + i) % 12]!)
      await storage.removeSessions(some, event('session.revoked', { detail: 'removed' }))
      return {}
    }
    case 'prune':
      await storage.pruneSessions('', start)
      return {}
  }
}

const everything: readonly (readonly [Kind, number])[] = [
  ['refresh', 12],
  ['touch', 2],
  ['logout', 3],
  ['logoutAll', 2],
  ['revokeClient', 1],
  ['signIn', 4],
  ['changePassword', 2],
  ['setPassword', 1],
  ['disable', 2],
]
const removals: readonly (readonly [Kind, number])[] = [
  ['removeUser', 1],
  ['removeClient', 1],
  ['removeSessions', 1],
  ['prune', 1],
]

const runs = (weights: typeof everything) => fc.array(weighted(weights), { minLength: 20, maxLength: 60 })

for (const [title, weights, removes] of [
  [
    'whatever ends and changes sessions on three nodes at once: each rotation is one, each end is audited once',
    everything,
    false,
  ],
  ['also while users, clients and sessions are removed', [...everything, ...removals], true],
] as const) {
  test(title, async t => {
    const { open, query } = await databases.postgres(t)
    const storages = await Promise.all(Array.from({ length: nodes }, open))
    const storage = storages[0]!
    let runNumber = 0
    await fc.assert(
      fc.asyncProperty(runs(weights), async chosen => {
        const run = `r${runNumber++}-`
        await storage.createUsers(
          users.map(name => user(run + name)),
          event('user.created'),
        )
        for (const id of clients) await storage.createClient(client(run + id), event('client.created'))
        const before = sessionsOf(run)
        for (const one of before) await storage.createSession(one, { version: 1 }, event('session.created'))

        const done = await Promise.all(
          chosen.map((command, turn) => execute(storages[turn % nodes]!, run, command, turn)),
        )

        const rows = (await query(
          `SELECT id, user_id, client_id, generation::int, revoked_at, revoked_reason FROM sessions WHERE id LIKE '${run}%'`,
        )) as {
          id: string
          user_id: string
          client_id: string
          generation: number
          revoked_at: unknown
          revoked_reason: string
        }[]
        const generations = done.flatMap(({ rotated, renewed }) => rotated ?? renewed ?? [])
        t.is(new Set(generations).size, generations.length, 'no generation is handed out twice')
        for (const { id, generation } of rows)
          t.is(generation - firstGeneration, generations.filter(one => one.startsWith(`${id} `)).length)

        const live = rows.filter(row => row.revoked_at === null)
        const disabled = await query(`SELECT id FROM users WHERE id LIKE 'usr_${run}%' AND disabled_at IS NOT NULL`)
        t.false(
          live.some(row => disabled.some(({ id }) => id === row.user_id)),
          'who is disabled has no session',
        )
        if (done.some(({ began }) => began !== undefined)) {
          const crowds = Map.groupBy(live, row => `${row.user_id} ${row.client_id}`)
          for (const [crowd, sessions] of crowds) {
            const isCounted = done.some(
              ({ began }) => began !== undefined && `${began.userId} ${began.clientId}` === crowd,
            )
            if (isCounted) t.true(sessions.length <= limit, `${crowd} has ${sessions.length}`)
          }
        }
        if (removes) return
        t.is(rows.length, before.length + done.filter(({ began }) => began !== undefined).length)
        const byLogout = rows.filter(row => row.revoked_reason === 'logout').length
        t.is(
          done.reduce((sum, { revoked = 0 }) => sum + revoked, 0),
          byLogout,
          'each is ended by one',
        )
        const audited = await storage.listAuditEvents(1000, { type: 'session.revoked' })
        const counted = audited.flatMap(({ detail = '' }) =>
          detail.startsWith(`${run}: logout: `) ? [Number(detail.split(': ')[2])] : [],
        )
        t.is(
          counted.reduce((sum, n) => sum + n, 0),
          byLogout,
          'and audited by one',
        )
        const reused = rows.filter(row => row.revoked_reason === 'refresh_token_reuse').map(({ id }) => id)
        const reuses = await storage.listAuditEvents(1000, { type: 'session.reused' })
        t.deepEqual(
          reuses.flatMap(({ sessionId = '' }) => (sessionId.startsWith(run) ? [sessionId] : [])).toSorted(),
          reused.toSorted(),
        )
      }),
      { numRuns: Number(process.env.RACES ?? 15), endOnFailure: true },
    )
    await Promise.all(storages.map(one => one.close()))
    // What a connection has counted is there for all when it ends, which takes a moment.
    const isAlone = async () => {
      const [row] = await query(
        "SELECT count(*)::int AS others FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
      )
      return row!.others === 0
    }
    for (let i = 0; i < 200 && !(await isAlone()); i++) await delay(20)
    const [counted] = await query(
      'SELECT deadlocks::int, xact_commit::int AS commits FROM pg_stat_database WHERE datname = current_database()',
    )
    t.true((counted!.commits as number) > 100)
    t.is(counted!.deadlocks, 0)
  })
}
