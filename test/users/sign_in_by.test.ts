/** Signing in by username, by e-mail address or by both: who is meant, and that two names of one account give nobody more guesses. */
import test, { type ExecutionContext } from 'ava'
import type { SignInBy } from '../../src/users/user.ts'
import { password, startServer } from '../_server.ts'

async function start(t: ExecutionContext, signInBy: SignInBy) {
  const server = await startServer(t, { oauth: { signInBy }, http: { corsOrigins: [] } })
  await server.addClient()
  const aliceId = await server.addUser({ email: 'Alice@example.com' })
  await server.addUser({ username: 'bob' })
  let guesses = 0
  const token = (username: string, typed = password) =>
    server.token({ grant_type: 'password', client_id: 'app', username, password: typed })
  return {
    ...server,
    aliceId,
    token,
    /** A wrong password that nobody tried before. */
    guess: (username: string) => token(username, `wrong ${guesses++}`),
    login: (username: string) => server.post('/login', { username, password }),
  }
}

const byUsername = ['alice', 'ALICE', ' Alice ']
const byEmail = ['Alice@example.com', 'alice@EXAMPLE.com', ' alice@example.com ', 'ａlice@example.com']

for (const [by, taken, refused] of [
  ['username', byUsername, byEmail],
  ['email', byEmail, byUsername],
  ['both', [...byUsername, ...byEmail], []],
] as const) {
  test(`by ${by}: the password grant and the cookie take ${by === 'both' ? 'either name' : `the ${by} alone`}, in every spelling`, async t => {
    const server = await start(t, by)
    for (const name of taken) {
      const answer = await server.token(name)
      t.is(answer.status, 200, name)
      t.is((await server.me(answer.body.access_token)).body.username, 'alice')
      t.is((await server.login(name)).status, 200, name)
    }
    for (const name of [...refused, 'nobody@example.com']) {
      t.is((await server.token(name)).body.error, 'invalid_grant', name)
      t.is((await server.login(name)).status, 401, name)
    }
    // Who has no address.
    t.is((await server.token('bob')).status, by === 'email' ? 400 : 200)
  })
}

test('by both: whoever is called like an address is meant by it, where addresses were shared meanwhile', async t => {
  const server = await start(t, 'both')
  await server.deps.storage.setUniqueEmails(false)
  await server.addUser({ username: 'alice@example.com' })
  await server.addUser({ username: 'carol', email: 'dave@example.com' })
  await server.addUser({ username: 'dave', email: 'Dave@example.com' })
  const { body } = await server.token('alice@example.com')
  t.is((await server.me(body.access_token)).body.username, 'alice@example.com')
  t.is((await server.token('dave@example.com')).status, 400)
  t.is((await server.token('dave')).status, 200)
})

test('a refusal names in the audit trail whom an address meant, and never what was typed', async t => {
  const server = await start(t, 'both')
  await server.guess('alice@example.com')
  await server.guess('nobody@example.com')
  await server.deps.refusals.flush(true)
  const refused = (await server.deps.storage.listAuditEvents(10)).filter(({ type }) => type === 'sign_in.refused')
  t.deepEqual(
    refused.map(({ userId }) => userId),
    [undefined, server.aliceId],
  )
  t.false(JSON.stringify(refused).includes('example.com'))
})

test('an address as long as they may be signs in (RFC 5321 §4.5.3.1.3)', async t => {
  const server = await start(t, 'both')
  const email = `${'a'.repeat(254 - '@example.com'.length)}@example.com`
  await server.addUser({ username: 'long', email })
  t.is((await server.token(email)).status, 200)
  t.is((await server.login(email)).status, 200)
  t.is((await server.login(`a${email}`)).body.error, 'invalid_request')
})

/** What somebody sees who tries wrong passwords of names in turn, and waits as told now and then. */
async function seen(server: Awaited<ReturnType<typeof start>>, names: readonly string[]) {
  const answers: string[] = []
  for (let i = 0; i < 24; i++) {
    const { status, headers } = await server.guess(names[i % names.length]!)
    answers.push(`${status} ${headers.get('retry-after')}`)
    if (i % 6 === 5) server.clock.advance(20)
  }
  return answers
}

test('by both: nothing that anybody sees of waits tells which two names are one account, or whose they are', async t => {
  const histories = []
  for (const names of [
    ['alice', 'alice@example.com'],
    ['bob', 'alice@example.com'],
    ['alice', 'nobody@example.com'],
    ['nobody', 'nobody@example.com'],
  ]) {
    histories.push(await seen(await start(t, 'both'), names))
  }
  for (const history of histories) t.deepEqual(history, histories[0])
})

test('by both: guesses at both names of an account at once are no more than those at the one name that there is else', async t => {
  const heard = async (by: SignInBy, names: readonly string[]) => {
    const server = await start(t, by)
    let count = 0
    for (const name of names) for (let status = 400; status === 400; count++) status = (await server.guess(name)).status
    return count - names.length
  }
  const one = await heard('username', ['alice'])
  t.is(one, 11)
  const both = await heard('both', ['alice', 'alice@example.com'])
  t.true(both <= one + 1, `${both}`)
  // And the owner is heard at once by the other name.
  const server = await start(t, 'both')
  for (let i = 0; i < 8; i++) await server.guess('alice')
  t.is((await server.guess('alice')).status, 429)
  t.is((await server.token('alice@example.com')).status, 200)
})
