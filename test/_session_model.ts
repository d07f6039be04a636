/**
 * Random commands at the same moment, through HTTP, held against a small model of the design: whatever the order in which
 * the answers came, there must be an order of the commands, one after the other, that explains every answer. Also with several nodes.
 */
import type { ExecutionContext } from 'ava'
import fc from 'fast-check'
import { decodeJwt } from 'jose'
import { auditEvent } from '../src/audit/audit.ts'
import { disabledUpdate } from '../src/sessions/user_change.ts'
import { type Answer, password, type TestServer } from './_server.ts'

const usernames = ['alice', 'bob'] as const
const retryWindow = 60

type Session = Readonly<{
  user: number
  isLive: boolean
  /** Refresh tokens in the order of their making; the newest is the current one. */
  tokens: readonly string[]
  /** Those that died with a change of the password. */
  dead: readonly string[]
  parent: string | undefined
  rotatedAt: number
}>

type State = Readonly<{
  users: readonly Readonly<{ password: string; isEnabled: boolean; version: number }>[]
  sessions: ReadonlyMap<string, Session>
}>

type Command = Readonly<
  | { kind: 'sign in'; user: number; password: string }
  | { kind: 'refresh' | 'revoke'; session: string; token: string }
  | { kind: 'who am I' | 'introspect' | 'log out' | 'log out others' | 'log out all'; session: string }
  | { kind: 'delete'; session: string; target: string }
  | { kind: 'change password'; session: string; current: string; next: string }
  | { kind: 'disable' | 'enable'; user: number }
>

/**
 * The state after a command, or undefined when it could not have been answered so.
 *
 * @param start before the commands of this moment: who acts is looked at first, what is done comes later
 */
function apply(state: State, command: Command, { status, body }: Answer, start: State, now: number): State | undefined {
  const ok = status === 200 || status === 204
  const session = 'session' in command ? state.sessions.get(command.session)! : undefined
  const actor = 'session' in command ? start.sessions.get(command.session)! : undefined
  switch (command.kind) {
    case 'sign in': {
      const { password: right, isEnabled, version } = state.users[command.user]!
      if (!ok)
        return !isEnabled || right !== command.password || version !== start.users[command.user]!.version
          ? state
          : undefined
      if (!isEnabled || right !== command.password) return undefined
      const made = {
        user: command.user,
        isLive: true,
        tokens: [body.refresh_token],
        dead: [],
        parent: undefined,
        rotatedAt: now,
      }
      return { ...state, sessions: new Map(state.sessions).set(String(decodeJwt(body.access_token).sid), made) }
    }
    case 'refresh': {
      const { isLive, tokens, dead, parent, rotatedAt } = session!
      if (!isLive || dead.includes(command.token)) return ok ? undefined : state
      const answered = body.refresh_token
      const put = (changed: Session) => ({ ...state, sessions: new Map(state.sessions).set(command.session, changed) })
      if (command.token === parent && now - rotatedAt <= retryWindow)
        return answered === tokens.at(-1) ? state : undefined
      if (command.token === parent || command.token === tokens.at(-1)) {
        if (!ok || tokens.includes(answered)) return undefined
        return put({ ...session!, tokens: [...tokens, answered], parent: command.token, rotatedAt: now })
      }
      return ok ? undefined : put({ ...session!, isLive: false })
    }
    case 'who am I':
      return ok === session!.isLive ? state : undefined
    case 'introspect':
      return body.active === session!.isLive ? state : undefined
    case 'revoke':
      return ok ? end(state, id => id === command.session) : undefined
    case 'log out':
    case 'log out others':
    case 'log out all':
      if (!ok) return session!.isLive ? undefined : state
      if (!actor!.isLive) return undefined
      return end(state, (id, { user }) => {
        if (command.kind === 'log out') return id === command.session
        return user === actor!.user && (command.kind === 'log out all' || id !== command.session)
      })
    case 'delete': {
      if (status === 401) return session!.isLive ? undefined : state
      const { user, isLive } = state.sessions.get(command.target)!
      const canEnd = user === actor!.user && isLive
      if (!actor!.isLive || ok !== canEnd) return undefined
      return ok ? end(state, id => id === command.target) : state
    }
    case 'change password': {
      const user = state.users[actor!.user]!
      const userAtStart = start.users[actor!.user]!
      if (status === 401) return session!.isLive && user.version === userAtStart.version ? undefined : state
      if (!ok) return command.current !== user.password || command.current !== userAtStart.password ? state : undefined
      if (!session!.isLive || command.current !== user.password) return undefined
      const ended = end(state, (id, other) => other.user === actor!.user && id !== command.session)
      const { tokens, dead } = session!
      const tokensNow = { tokens: [body.refresh_token], dead: [...dead, ...tokens], parent: undefined, rotatedAt: now }
      ended.sessions.set(command.session, { ...session!, ...tokensNow })
      return withUser(ended, actor!.user, { ...user, password: command.next, version: user.version + 1 })
    }
    case 'disable': {
      const user = state.users[command.user]!
      if (!user.isEnabled) return state
      const ended = end(state, (_, other) => other.user === command.user)
      return withUser(ended, command.user, { ...user, isEnabled: false, version: user.version + 1 })
    }
    case 'enable':
      return withUser(state, command.user, { ...state.users[command.user]!, isEnabled: true })
  }
}

function withUser(state: State, index: number, user: State['users'][number]): State {
  return { ...state, users: state.users.with(index, user) }
}

function end(state: State, which: (id: string, session: Session) => boolean) {
  const sessions = [...state.sessions].map(([id, session]): [string, Session] => [
    id,
    which(id, session) ? { ...session, isLive: false } : session,
  ])
  return { ...state, sessions: new Map(sessions) }
}

type Answered = Readonly<{ command: Command; answer: Answer }>

/** Every state that some order of the commands leads to. */
function explain(state: State, answered: readonly Answered[], start: State, now: number): State[] {
  if (answered.length === 0) return [state]
  return answered.flatMap(({ command, answer }, i) => {
    const next = apply(state, command, answer, start, now)
    return next === undefined ? [] : explain(next, answered.toSpliced(i, 1), start, now)
  })
}

function distinct(states: readonly State[]): State[] {
  const known = new Map(states.map(state => [JSON.stringify([state.users, [...state.sessions].sort()]), state]))
  return [...known.values()]
}

async function send(server: TestServer, command: Command, accessTokens: ReadonlyMap<string, string>): Promise<Answer> {
  const headers = 'session' in command ? server.bearer(accessTokens.get(command.session)!) : {}
  switch (command.kind) {
    case 'sign in':
      return server.token({
        grant_type: 'password',
        client_id: 'app',
        username: usernames[command.user]!,
        password: command.password,
      })
    case 'refresh':
      return server.refresh(command.token)
    case 'revoke':
      return server.post('/revoke', { client_id: 'app', token: command.token })
    case 'who am I':
      return server.request('/users/me', { headers })
    case 'introspect':
      return server.post('/introspect', {
        client_id: 'api',
        client_secret: 'a secret of the api',
        token: accessTokens.get(command.session)!,
      })
    case 'log out':
      return server.request('/logout', { method: 'POST', headers })
    case 'log out others':
      return server.request('/logout?scope=others', { method: 'POST', headers })
    case 'log out all':
      return server.request('/logout?scope=all', { method: 'POST', headers })
    case 'delete':
      return server.request(`/sessions/${command.target}`, { method: 'DELETE', headers })
    case 'change password':
      return server.request('/users/me/password', {
        method: 'PUT',
        headers,
        body: new URLSearchParams({ current_password: command.current, new_password: command.next }),
      })
    case 'disable':
    case 'enable': {
      const { id } = (await server.deps.storage.findUserByUsername(usernames[command.user]!))!
      const event = auditEvent(`user.${command.kind}d`, server.clock.now(), {})
      await server.deps.storage.changeUser(id, disabledUpdate(command.kind === 'disable', event))
      return { status: 204, headers: new Headers(), body: '' }
    }
  }
}

const index = fc.nat({ max: 50 })
/** A command before it is known which sessions and tokens there are. Mostly what happens mostly. */
const draft = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('sign in' as const), a: index, b: index }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('refresh' as const), a: index, b: index }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'who am I',
        'introspect',
        'log out',
        'log out others',
        'delete',
        'change password',
        'revoke',
      ),
      a: index,
      b: index,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('log out all', 'disable'), a: index, b: index }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('enable' as const), a: index, b: index }) },
)
type Draft = typeof draft extends fc.Arbitrary<infer T> ? T : never

const moment = fc.record({
  /** Seconds since the moment before; all of them together less than an access token lives. */
  pause: fc.constantFrom(0, 0, 0, 1, 30, 61),
  /** Each with the node that is asked. */
  drafts: fc.array(fc.tuple(draft, index), { minLength: 1, maxLength: 5 }),
})

function commandOf({ kind, a, b }: Draft, state: State, nextPassword: () => string): Command | undefined {
  const user = a % usernames.length
  if (kind === 'disable' || kind === 'enable') return { kind, user }
  if (kind === 'sign in') return { kind, user, password: b % 6 === 0 ? 'wrong' : state.users[user]!.password }
  // The newest are the likeliest to live.
  const ids = [...state.sessions.keys()].slice(-4)
  const session = ids[a % ids.length]
  if (session === undefined) return undefined
  const { tokens, dead, user: owner } = state.sessions.get(session)!
  if (kind === 'refresh' || kind === 'revoke') {
    const age = [0, 0, 0, 1, 1, 2][b % 6]!
    return { kind, session, token: [...dead, ...tokens].at(-1 - age) ?? tokens.at(-1)! }
  }
  if (kind === 'delete') return { kind, session, target: ids[b % ids.length]! }
  if (kind === 'change password') {
    return { kind, session, current: b % 4 === 0 ? 'wrong' : state.users[owner]!.password, next: nextPassword() }
  }
  return { kind, session }
}

const replacer = (_: string, value: unknown) => (value instanceof Map ? Object.fromEntries(value) : value)

/**
 * @param start servers on an empty database, with one clock and no throttle, whose access tokens live for an hour; alice and the client `app` are
 * there
 */
export async function assertModel(
  t: ExecutionContext,
  start: () => Promise<readonly [TestServer, ...TestServer[]]>,
  runs: number,
): Promise<void> {
  const seen: Record<string, number> = {}
  const property = fc.asyncProperty(fc.array(moment, { minLength: 3, maxLength: 12 }), async moments => {
    const servers = await start()
    const [server] = servers
    await server.addUser({ username: 'bob' })
    await server.addClient({ id: 'api', grantTypes: ['client_credentials'], secret: 'a secret of the api' })
    let passwords = 0
    const nextPassword = () => `another password ${passwords++}`
    const accessTokens = new Map<string, string>()
    let states: State[] = [
      { users: usernames.map(() => ({ password, isEnabled: true, version: 1 })), sessions: new Map() },
    ]

    for (const { pause, drafts } of moments) {
      server.clock.advance(pause)
      const asked = drafts.flatMap(([one, node]) => {
        const command = commandOf(one, states[0]!, nextPassword)
        return command === undefined ? [] : { command, node: servers[node % servers.length]! }
      })
      const answered = await Promise.all(
        asked.map(async ({ command, node }) => ({ command, answer: await send(node, command, accessTokens) })),
      )
      for (const { command, answer } of answered) {
        const name = `${command.kind} ${answer.status}`
        seen[name] = (seen[name] ?? 0) + 1
        const accessToken = answer.body.access_token
        if (accessToken !== undefined) accessTokens.set(String(decodeJwt(accessToken).sid), accessToken)
      }
      const next = distinct(states.flatMap(state => explain(state, answered, state, server.clock.now())))
      if (next.length === 0) {
        const lines = answered.map(({ command, answer }) => JSON.stringify([command, answer.status, answer.body]))
        throw new Error(`no order explains\n${lines.join('\n')}\nafter ${JSON.stringify(states[0], replacer)}`)
      }
      states = next
    }
  })

  await fc.assert(property, { numRuns: runs })
  t.log(seen)
  for (const name of ['refresh 400', 'change password 200', 'delete 204', 'delete 404', 'who am I 401', 'sign in 400'])
    t.true((seen[name] ?? 0) > 0, name)
}
