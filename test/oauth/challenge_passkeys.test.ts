/** Answers of passkeys that are none, over HTTP: whatever is sent, the app is told in the words for a wrong proof, and nothing breaks. */
import test from 'ava'
import fc from 'fast-check'
import { maxWrongProofs } from '../../src/oauth/auth_session.ts'
import { createDatabase } from '../_databases.ts'
import { addPasskey } from '../_factors.ts'
import { refusal, refused, startServerWithAlice, type TestContext } from '../_server.ts'
import { createApp } from './_challenge.ts'

async function start(t: TestContext) {
  const lines: string[] = []
  const server = await startServerWithAlice(t, { onLog: line => lines.push(line) })
  const app = createApp(server)
  const { authenticator } = await addPasskey(server, server.aliceId)
  /** Sends an answer, made of the right one, to a question of its own. */
  const answerWith = async (make: (right: string) => string) => {
    const { body } = await app.challenge({})
    return app.challenge({ auth_session: body.auth_session, passkey: make(authenticator.get(body.passkey_options)) })
  }
  const failures = () => lines.map(line => JSON.parse(line)).filter(({ level }) => level >= 50)
  return { ...server, ...app, authenticator, answerWith, failures }
}

/** Any value in the place of one member of the answer, which is what a program gets wrong. */
const changes = fc.record({
  at: fc.constantFrom(
    ['id'],
    ['type'],
    ['response'],
    ['response', 'clientDataJSON'],
    ['response', 'authenticatorData'],
    ['response', 'signature'],
    ['response', 'userHandle'],
  ),
  value: fc.oneof(
    fc.jsonValue(),
    fc.base64String().map(text => text.replaceAll('+', '-').replaceAll('/', '_')),
    fc.jsonValue().map(value => Buffer.from(JSON.stringify(value)).toString('base64url')),
  ),
})

function changed(right: string, { at, value }: { at: readonly string[]; value: unknown }): string {
  const answer = JSON.parse(right)
  const parent = at.length === 1 ? answer : answer.response
  parent[at.at(-1)!] = value
  return JSON.stringify(answer)
}

test('an answer with anything in the place of a member is refused or right, and nothing fails (WebAuthn §7.2)', async t => {
  const { answerWith, failures } = await start(t)
  t.is((await answerWith(right => right)).status, 200)
  await fc.assert(
    fc.asyncProperty(changes, async change => {
      const { status, body } = await answerWith(right => changed(right, change))
      return status === 200 || (status === 400 && body.error === 'invalid_grant')
    }),
    { numRuns: 60 },
  )
  t.deepEqual(failures(), [])
})

test('what is no JSON, or long, is refused like a wrong answer; what no form has is 413 (RFC 9110 §15.5.14)', async t => {
  const { answerWith, failures } = await start(t)
  for (const text of ['x', '{', 'null', '[]', '"x"', '['.repeat(5000), `{"id":"${'A'.repeat(9000)}"}`])
    t.deepEqual(refusal(await answerWith(() => text)), refused(400, 'invalid_grant'), text.slice(0, 20))
  t.is((await answerWith(right => right + ' '.repeat(100_000))).status, 413)
  t.deepEqual(failures(), [])
})

test("a passkey of another user, and of nobody, is no proof of alice's (WebAuthn §7.2)", async t => {
  const { addUser, challenge, ...server } = await start(t)
  const bob = await addPasskey(server, await addUser({ username: 'bob' }))
  const { body } = await challenge({ username: 'alice', password: 'correct horse battery staple' })
  const passkey = bob.authenticator.get({ ...body.passkey_options, allowCredentials: [] })
  t.deepEqual(refusal(await challenge({ auth_session: body.auth_session, passkey })), refused(400, 'invalid_grant'))

  const [factor] = await server.deps.storage.listFactors(server.aliceId)
  await server.deps.storage.changeUser(server.aliceId, () => ({
    outcome: undefined,
    factors: { remove: [factor!.id] },
  }))
  const removed = await server.answerWith(right => right)
  t.deepEqual(refusal(removed), refused(400, 'invalid_grant'))
})

test('a stranger who sends wrong passkeys adds no row but to the audit trail, and the right one goes on (CWE-770)', async t => {
  const database = await createDatabase(t)
  const server = await startServerWithAlice(t, { storage: await database.open() })
  const app = createApp(server)
  const { authenticator } = await addPasskey(server, server.aliceId)
  const rows = () => database.query('SELECT id FROM remembered_ids')
  const before = await rows()

  const { body: asked } = await app.challenge({})
  const begun = await server.post('/login/passkey', {})
  for (let i = 0; i < maxWrongProofs + 1; i++) {
    const answer = await app.challenge({ auth_session: asked.auth_session, passkey: '{}' })
    t.deepEqual(refusal(answer), refused(400, 'invalid_grant'))
    const byCookie = await server.post('/login', { auth_session: begun.body.auth_session, passkey: '{}' })
    t.is(byCookie.status, 400)
  }
  t.deepEqual(await rows(), before)

  const passkey = authenticator.get(asked.passkey_options)
  t.is((await app.challenge({ auth_session: asked.auth_session, passkey })).status, 200)
  t.is((await rows()).length, before.length + 1, 'what counts once')
})
