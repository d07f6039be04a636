/** What operators do (src/admin/), as a front calls it: records in, documents out, errors that a front can put into words of its own. */

import { generateKeyPairSync } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { listEvents, readAuditFilter } from '../../src/admin/audit_trail.ts'
import {
  type ClientSettings,
  readClientSecret,
  readClientSettings,
  readNewClient,
} from '../../src/admin/client_settings.ts'
import {
  addClient,
  dropOldClientSecret,
  rotateClientSecret,
  setClientDisabled,
  showClient,
  updateClient,
} from '../../src/admin/clients.ts'
import type { Actor, AdminDeps } from '../../src/admin/deps.ts'
import { Conflict, InvalidMember, NotFound } from '../../src/admin/error.ts'
import { listKeys, rotateKey } from '../../src/admin/keys.ts'
import { insistThatUnused, listMasterSecrets, oldSecrets } from '../../src/admin/master_secrets.ts'
import { listSessions, readSessionFilter, revokeSessions } from '../../src/admin/sessions.ts'
import { exportUsers, importUsers } from '../../src/admin/user_files.ts'
import { createUser, listUsers, readNewUser, removeUser, setPassword, setUserDisabled } from '../../src/admin/users.ts'
import { isFirstParty } from '../../src/clients/client.ts'
import { parseMasterSecrets } from '../../src/keys/master_secret.ts'
import { randomBytes } from '../../src/system.ts'
import { createFactorId, type Factor } from '../../src/users/factors/factor.ts'
import { storages } from '../_storages.ts'

const { publicKey } = generateKeyPairSync('ed25519')
const start = 1_900_000_000
const server = { audience: ['https://api.example'], privateJwksUris: false }
const actor: Actor = { name: 'client console', ip: '192.0.2.7', requestId: 'r-1' }
const password = 'a good password'

async function createDeps(t: ExecutionContext): Promise<AdminDeps> {
  const secrets = parseMasterSecrets(Buffer.alloc(32, 'secret').toString('base64url'))!
  return {
    storage: await storages.sqlite!(t),
    secrets: async () => secrets,
    // The real ones are tested elsewhere, and slow.
    passwords: { hash: async text => `$argon2id$of ${text}`, isBreached: async () => false },
    passwordSettings: { minSolePassword: 15, requireFactor: 'enrolled', serviceNames: [] },
    now: () => start,
    randomBytes,
  }
}

const addUser = (deps: AdminDeps, username: string) => createUser(deps, readNewUser({ username }), password, actor)
const addApp = (deps: AdminDeps, id: string, settings: ClientSettings = {}) =>
  addClient(deps, readNewClient({ client_id: id, grant_types: ['password'], ...settings }), { server }, actor)

for (const [member, bad, good] of [
  ['grant_types', ['implicit'], ['password']],
  ['scope', 'a"b', 'a b'],
  ['token_endpoint_auth_methods', ['tls_client_auth'], ['client_secret_basic']],
  ['jwks', { keys: [] }, { keys: [publicKey.export({ format: 'jwk' })] }],
  ['jwks_uri', 'ftp://keys.example', 'https://keys.example/jwks'],
  ['audience', ['no spaces, please'], ['https://api.example']],
  ['resources', ['no spaces, please'], null],
  ['access_token_ttl', 86_401, 86_400],
  ['refresh_idle_ttl', 0, 1],
  ['refresh_absolute_ttl', 1.5, null],
  ['cors_origins', ['https://*.example'], ['https://app.example']],
  ['access_token_claims', ['phone_number'], ['roles', 'preferred_username', 'email', 'name']],
] as const) {
  test(`a client's ${member} that cannot be is refused by that name, and one that can be is taken`, t => {
    const error = t.throws(() => readClientSettings({ [member]: bad }), { instanceOf: InvalidMember })
    t.is(error.member, member)
    if (error.value !== undefined) t.is(error.value, String(bad))
    t.true(error.problem.length > 10)
    t.notThrows(() => readClientSettings({ [member]: good }))
  })
}

test('what does not fit together is refused by no single name; what is absent is not touched', t => {
  t.like(
    t.throws(() => readClientSettings({ jwks: {}, jwks_uri: 'https://keys.example' })),
    { member: undefined },
  )
  t.deepEqual(readClientSettings({}), {})
  t.deepEqual(readClientSettings({ audience: null, cors_origins: [] }), { audience: undefined, corsOrigins: [] })
  t.is(
    t.throws<InvalidMember>(() => readNewClient({ client_id: 'usr_a', grant_types: ['password'] })).member,
    'client_id',
  )
  t.is(t.throws<InvalidMember>(() => readNewClient({ client_id: 'web' })).member, 'grant_types')
  const draft = readNewClient({ client_id: 'web', grant_types: ['password'] })
  t.is(t.throws<InvalidMember>(() => readClientSecret('short', draft)).member, 'client_secret')
  t.is(readClientSecret('long enough', draft), 'long enough')
  const phone = readNewClient({ client_id: 'phone', public: true, grant_types: ['password'] })
  t.is(t.throws<InvalidMember>(() => readClientSecret('long enough', phone)).member, 'client_secret')
})

for (const [member, given] of [
  ['username', { username: ' alice' }],
  ['email', { username: 'alice', email: 'alice' }],
  ['full_name', { username: 'alice', full_name: '\u202e' }],
] as const) {
  test(`a user's ${member} that cannot be is refused by that name`, t => {
    t.is(t.throws<InvalidMember>(() => readNewUser(given)).member, member)
    t.is(readNewUser({ username: 'alice', email: ' ', full_name: 'Alice' }).fullName, 'Alice')
  })
}

test('a client with the password grant is an app of who runs the server, unless it is said otherwise; one without it may be', async t => {
  const deps = await createDeps(t)
  const app = await addApp(deps, 'app')
  t.like(app, { first_party: null, require_factor: false })
  t.true(isFirstParty((await deps.storage.findClient('app'))!))
  t.like(await addApp(deps, 'partner', { first_party: false }), { first_party: false })
  const keys = { grant_types: ['authorization_code', 'refresh_token'] }
  t.like(await addApp(deps, 'passkeys', { ...keys, first_party: true }), { first_party: true })
  const refused = t.throws<InvalidMember>(() => readNewClient({ client_id: 'x', ...keys }))
  t.is(refused.member, 'grant_types')
  await t.throwsAsync(addApp(deps, 'x', { grant_types: ['authorization_code'] }), { instanceOf: InvalidMember })

  const change = (settings: ClientSettings) =>
    updateClient(deps, 'app', readClientSettings(settings), server, actor).then(({ first_party, require_factor }) => [
      first_party,
      require_factor,
    ])
  t.deepEqual(await change({ first_party: false, require_factor: true }), [false, true])
  t.deepEqual(await change({ first_party: null }), [null, true])
  t.deepEqual(await change({ require_factor: false }), [null, false])
})

test('nobody signs up in a client unless the operator says so, and no more when it is taken back', async t => {
  const deps = await createDeps(t)
  t.false((await addApp(deps, 'app')).sign_up)
  t.true((await addApp(deps, 'mobile', { sign_up: true })).sign_up)
  t.true((await deps.storage.findClient('mobile'))!.signUp)
  const settings = readClientSettings({ sign_up: false })
  t.false((await updateClient(deps, 'mobile', settings, server, actor)).sign_up)
  t.is((await deps.storage.findClient('mobile'))!.signUp, undefined)
})

test('a document of a user has no hash, one of a client no digest, and a secret is in the one answer that makes it', async t => {
  const deps = await createDeps(t)
  const alice = await addUser(deps, 'alice')
  t.deepEqual(await listUsers(deps, { limit: 10 }), [alice])
  t.false(JSON.stringify(alice).includes('argon2id'))

  const web = await addApp(deps, 'web', { scope: 'read' })
  const { client_secret: first, ...described } = web
  t.deepEqual(await showClient(deps, 'web'), described)
  const { client_secret: second } = await rotateClientSecret(deps, 'web', { endOld: false }, actor)
  t.true(first !== undefined && second !== undefined && first !== second)
  t.false('client_secret' in (await rotateClientSecret(deps, 'web', { secret: 'long enough', endOld: true }, actor)))
  t.false((await dropOldClientSecret(deps, 'web', actor)).hadOne)
  const stored = await deps.storage.findClient('web')
  t.false(JSON.stringify(await showClient(deps, 'web')).includes(stored!.secretDigests[0]!))
})

test('what is not there, and what is there already, are told apart, and change nothing', async t => {
  const deps = await createDeps(t)
  await addUser(deps, 'alice')
  await addApp(deps, 'web')
  await addApp(deps, 'phone', { token_endpoint_auth_methods: ['none'] })
  const events = async () => (await listEvents(deps, {}, { limit: 100 })).events.length
  const before = await events()
  for (const absent of [
    () => setPassword(deps, 'bob', password, actor),
    () => setUserDisabled(deps, 'bob', true, actor),
    () => removeUser(deps, 'bob', actor),
    () => updateClient(deps, 'nobody', { scope: 'read' }, server, actor),
    () => setClientDisabled(deps, 'nobody', true, actor),
    () => readSessionFilter(deps, { user: 'bob' }),
    () => readSessionFilter(deps, { client: 'nobody' }),
    () => revokeSessions(deps, { id: 'none' }, actor),
  ])
    await t.throwsAsync(absent, { instanceOf: NotFound }, String(absent))
  for (const [code, taken] of [
    ['username_taken', () => addUser(deps, 'ALICE')],
    ['client_exists', () => addApp(deps, 'web')],
    ['client_has_no_secret', () => rotateClientSecret(deps, 'phone', { endOld: false }, actor)],
  ] as const)
    t.is((await t.throwsAsync<Conflict>(taken, { instanceOf: Conflict })).code, code)
  const weak = await t.throwsAsync<InvalidMember>(setPassword(deps, 'alice', 'short', actor))
  t.is(weak.member, 'password')
  t.is(await events(), before)

  t.is((await setPassword(deps, 'alice', 'a better password', actor)).username, 'alice')
  t.is((await updateClient(deps, 'web', { scope: 'read' }, server, actor)).scope, 'read')
  t.is(await events(), before + 2)
})

test('an operator chooses passwords by the same rules: of 15 characters, or 8 for who has a second factor (NIST SP 800-63B-4 §3.1.1.2)', async t => {
  const deps = await createDeps(t)
  const short = await t.throwsAsync(createUser(deps, readNewUser({ username: 'alice' }), 'fourteen chars', actor))
  t.is(short?.message, 'password: the password must have at least 15 characters')
  const { id } = await addUser(deps, 'alice')
  await t.throwsAsync(setPassword(deps, 'alice', 'qzjxkvbw', actor), { message: /at least 15 / })
  const factor: Factor = {
    id: createFactorId(randomBytes),
    userId: id,
    kind: 'totp',
    createdAt: start,
    data: 'sealed',
    counter: 0,
  }
  await deps.storage.changeUser(id, user => ({ outcome: undefined, user: user!, factors: { put: [factor] } }))
  await t.throwsAsync(setPassword(deps, 'alice', 'qzjxkvb', actor), { message: /at least 8 / })
  t.is((await setPassword(deps, 'alice', 'qzjxkvbw', actor)).username, 'alice')
})

test('the audit trail says who did it and from where, for what ends sessions as well', async t => {
  const deps = await createDeps(t)
  const { id } = await addUser(deps, 'alice')
  await addApp(deps, 'web')
  const session = (sessionId: string) =>
    deps.storage.createSession(
      {
        id: sessionId,
        userId: id,
        clientId: 'web',
        scope: 'read',
        audience: [],
        generation: 0,
        parentGeneration: -1,
        createdAt: start,
        authTime: start,
        amr: ['pwd'],
        lastSeenAt: start,
        rotatedAt: start,
        idleExpiresAt: start + 100,
        expiresAt: start + 1000,
        device: 'Phone',
        oldestGeneration: 0,
      },
      { version: 1 },
      { at: start, type: 'session.created' },
    )
  t.true((await session('one')) && (await session('two')))
  const which = await readSessionFilter(deps, { user: 'ALICE', client: 'web' })
  const [newest] = await listSessions(deps, which, start, { limit: 1 })
  t.is((await listSessions(deps, which, start, { limit: 5, after: newest })).length, 1)
  t.like(newest, { user_id: id, client_id: 'web', device: 'Phone', expires_at: start + 100 })
  t.deepEqual(await revokeSessions(deps, { id: 'one' }, actor), { revoked: 1 })
  t.deepEqual(await revokeSessions(deps, { user: 'alice' }, actor), { revoked: 1 })
  t.deepEqual(await revokeSessions(deps, {}, actor), { revoked: 0 })
  await removeUser(deps, 'alice', actor)

  const { events } = await listEvents(deps, await readAuditFilter(deps, { user: id }), { limit: 10 })
  t.deepEqual(
    events.map(({ type, ip, request_id, detail }) => [type, ip, request_id, detail]),
    [
      ['user.removed', actor.ip, actor.requestId, 'client console: alice'],
      ['session.revoked', actor.ip, actor.requestId, 'client console: revoked_by_operator: 1'],
      ['session.revoked', actor.ip, actor.requestId, 'client console: revoked_by_operator: 1'],
      ['user.created', actor.ip, actor.requestId, 'client console'],
    ],
  )
  const created = await listEvents(deps, { type: 'client.created' }, { limit: 10 })
  t.like(created.events, [{ detail: 'client console', client_id: 'web', ip: actor.ip }])
})

test('a key is added behind the one before it, and an old master secret is kept while something needs it', async t => {
  const deps = await createDeps(t)
  const first = await rotateKey(deps, 'ES256', actor)
  const second = await rotateKey(deps, 'EdDSA', actor)
  t.deepEqual([first.state, second.state], ['signing', 'published'])
  t.deepEqual(
    (await listKeys(deps)).map(({ kid }) => kid),
    [first.kid, second.kid],
  )

  const [newest] = await listMasterSecrets(deps)
  t.like(newest, { newest: true, signing_keys: 2, clients: [], used_since: null })
  const old = { ...newest!, newest: false, signing_keys: 0, used_since: start }
  const inUse = { ...newest!, used_since: start }
  const codeOf = (run: () => unknown) => t.throws<Conflict>(run, { instanceOf: Conflict }).code
  t.is(
    codeOf(() => oldSecrets([inUse])),
    'no_old_secret',
  )
  t.is(
    codeOf(() => oldSecrets([newest!, old])),
    'new_secret_unused',
  )
  t.deepEqual(oldSecrets([inUse, old]), [old])
  t.is(
    codeOf(() => insistThatUnused([{ ...old, sessions: 1 }], start)),
    'old_secret_used',
  )
  t.is(
    codeOf(() => insistThatUnused([{ ...old, clients: ['web'] }], start)),
    'old_secret_used',
  )
  t.is(
    codeOf(() => insistThatUnused([{ ...old, recovery_codes: 1 }], start)),
    'old_secret_used',
  )
  t.notThrows(() => insistThatUnused([{ ...old, totp_secrets: 1 }], start), 'those are encrypted anew')
  t.is(
    codeOf(() => insistThatUnused([{ ...old, used_until: start + 1 }], start)),
    'old_secret_used',
  )
  t.notThrows(() => insistThatUnused([{ ...old, sessions: 0, used_until: start }], start))
})

test('a file of users is imported whole or not at all, and what is exported is such a file', async t => {
  const deps = await createDeps(t)
  const text = '{"username":"alice"}\n{"username":"bob","disabled":true}'
  const problems = async (file: string) => (await importUsers(deps, file, { dryRun: false }, actor)).problems
  t.like(await importUsers(deps, text, { dryRun: true }, actor), { count: 2, problems: [] })
  t.deepEqual(await listUsers(deps, { limit: 9 }), [])
  t.like(await problems(`${text}\n{"username":" "}`), [{ place: 'line 3', member: 'username' }])
  t.deepEqual(await listUsers(deps, { limit: 9 }), [])
  t.like(await importUsers(deps, text, { dryRun: false }, actor), { count: 2, report: { disabled: 1 } })
  t.like(await problems('{"username":"ALICE"}'), [{ place: 'entry 1', member: 'username' }])

  const before = await listUsers(deps, { limit: 9 })
  const lines: string[] = []
  for await (const line of exportUsers(deps, actor)) lines.push(line)
  for (const { username } of before) await removeUser(deps, username, actor)
  t.deepEqual(await problems(lines.join('\n')), [])
  t.deepEqual(await listUsers(deps, { limit: 9 }), before)
})
