/**
 * What throttling tells of who has an account: nothing. In any network, for any history, a wrong password gets the same answer
 * for a user as for nobody. Two servers see the same history, one with the user (or the client) `ghost`, one without; whatever
 * succeeds for `ghost` happens on the first one alone. Promise 7.
 */
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { readConfig } from '../../src/config.ts'
import { createHeldAnswers } from '../../src/throttle/held_answers.ts'
import { createThrottle } from '../../src/throttle/throttle.ts'
import { createPasswords } from '../../src/users/password.ts'
import { type Answer, cheapHashing, createTestRandom, password, startServer, type TestServer } from '../_server.ts'

/** Neighbours, others, two of one IPv6 site. `ghost` signs in from any of them. */
const networks = ['203.0.113.7', '203.0.113.8', '198.51.100.1', '2001:db8:1:2::1', '2001:db8:1:3::1']
/** So small that a short history comes to every edge, counters that have to make room included. */
const throttle = { account: 3, elsewhere: 5, network: 8, site: 12, password: 4, entries: 40 }
const secret = 'the secret of a client'

type Kind = Readonly<{
  add: (server: TestServer, name: string) => Promise<unknown>
  right: string
  ask: (server: TestServer, name: string, typed: string, headers: Record<string, string>) => Promise<Answer>
}>

const kinds: Record<string, Kind> = {
  'a user at /token': {
    add: (server, username) => server.addUser({ username }),
    right: password,
    ask: (server, username, typed, headers) =>
      server.token({ grant_type: 'password', client_id: 'app', username, password: typed }, headers),
  },
  'a user at the sign-in page': {
    add: (server, username) => server.addUser({ username }),
    right: password,
    ask: (server, username, typed, headers) =>
      server.post('/login', { username, password: typed }, { ...headers, accept: 'text/html' }),
  },
  'a client at /introspect': {
    add: (server, id) => server.addClient({ id, secret, isPublic: false }),
    right: secret,
    ask: (server, id, typed, headers) =>
      server.post('/introspect', { token: 'x', client_id: id, client_secret: typed }, headers),
  },
}

async function start(t: ExecutionContext, kind: Kind, hasGhost: boolean) {
  const passwords = await createPasswords(cheapHashing, createTestRandom(t.title))
  const patience = { milliseconds: 1 }
  const server = await startServer(t, {
    http: { trustProxy: readConfig({ LATCHKEY_TRUST_PROXY: '127.0.0.1' }).trustProxy },
    throttle,
    passwords: { ...passwords, patience: () => patience.milliseconds },
  })
  await server.addClient()
  await kind.add(server, 'alice')
  if (hasGhost) await kind.add(server, 'ghost')
  const { deps, clock } = server
  return {
    ...server,
    ask: (network: number, name: string, typed: string) => {
      // For what is checked beside the line, on a busy machine. What comes too late for it does no harm here.
      patience.milliseconds = typed === kind.right ? 50 : 5
      return kind.ask(server, name, typed, { 'x-forwarded-for': networks[network]! })
    },
    async restart() {
      await deps.throttle.flush()
      const { storage, secrets, randomBytes } = deps
      const settings = { ...readConfig({}).throttle, ...throttle }
      const restarted = await createThrottle(settings, { storage, secrets, now: clock.now, randomBytes })
      Object.assign(deps, { throttle: restarted })
    },
  }
}

/** All that an answer shows, but for what is of the moment. */
function shown({ status, headers, body }: Answer) {
  const lasting = [...headers].filter(([name]) => !['date', 'x-request-id'].includes(name))
  return { status, headers: Object.fromEntries(lasting), body }
}

const anyNetwork = fc.nat(networks.length - 1)
const anyStep = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('guess' as const),
      network: anyNetwork,
      name: fc.constantFrom('ghost', 'ghost', 'ghost', 'alice', 'nobody', 'somebody'),
      // Some are tried again and again, which has a counter of its own.
      typed: fc.constantFrom('wrong', 'Winter2026!', 'new', 'new', 'new'),
      times: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('succeed' as const), network: anyNetwork }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.constantFrom(1, 4, 30, 120, 3600) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
)

for (const [name, kind] of Object.entries(kinds)) {
  test(`promise 7: in any network and for any history a wrong guess is answered alike for ${name} and for nobody`, async t => {
    t.timeout(300_000)
    let signedIn = 0
    let refused = 0
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 30 }), async history => {
        const there = await start(t, kind, true)
        const absent = await start(t, kind, false)
        let guesses = 0
        const compare = async (network: number, who: string, typed: string) => {
          const answer = shown(await there.ask(network, who, typed))
          if (answer.status === 429) refused++
          t.deepEqual(answer, shown(await absent.ask(network, who, typed)))
        }
        for (const step of history) {
          if (step.do === 'guess') {
            for (let i = 0; i < step.times; i++)
              await compare(step.network, step.name, step.typed === 'new' ? `wrong ${guesses++}` : step.typed)
          } else if (step.do === 'succeed') {
            const answer = await there.ask(step.network, 'ghost', kind.right)
            if (answer.status < 400) signedIn++
            // An owner who has to wait is one more who tried that name.
            else t.deepEqual(shown(answer), shown(await absent.ask(step.network, 'ghost', kind.right)))
          } else {
            for (const server of [there, absent]) {
              if (step.do === 'wait') server.clock.advance(step.seconds)
              else await server.restart()
            }
          }
        }
        // What is left of the history shows here.
        for (let network = 0; network < networks.length; network++)
          for (let i = 0; i < 3; i++) await compare(network, 'ghost', `wrong ${guesses++}`)
      }),
      { numRuns: 25 },
    )
    t.log({ signedIn, refused })
    t.true(signedIn > 10 && refused > 30)
  })
}

test('no more than 4,096 answers are held back at once: what comes beyond is answered at once, whoever it is (CWE-770)', async t => {
  const heldAnswers = createHeldAnswers()
  let told = 0
  const tell = () => void told++
  const held = Array.from({ length: 4096 }, () => heldAnswers.hold(50, tell))
  t.false(held.includes(undefined))
  t.is(heldAnswers.hold(50, tell), undefined)

  await Promise.all(held)
  t.is(told, 4096)
  await heldAnswers.hold(0, tell)
  t.is(told, 4097)
})
