/** What is particular to SQLite, on real files: modes, migrations, locks, growth, and what the bytes give away. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import Database from 'better-sqlite3'
import { auditEvent, type Caller } from '../../src/audit/audit.ts'
import { createClient } from '../../src/clients/client.ts'
import { addSecretDigest, createClientSecret, digestClientSecret } from '../../src/clients/client_secret.ts'
import { OAuthError } from '../../src/error.ts'
import { openSigningKey } from '../../src/keys/jws.ts'
import { createMasterSecret, parseMasterSecrets } from '../../src/keys/master_secret.ts'
import { createSigningKey } from '../../src/keys/signing_key.ts'
import { decideRefresh, type RefreshPolicy, refreshChange } from '../../src/sessions/refresh.ts'
import { formatRefreshToken } from '../../src/sessions/refresh_token.ts'
import { createSession, firstGeneration } from '../../src/sessions/session.ts'
import { keepCopy } from '../../src/storage/sqlite/kept_copies.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { maxUserAgent, usernameKey } from '../../src/text.ts'
import { createPasswords } from '../../src/users/password.ts'
import { cheapHashing, createTestRandom, password, startTime as start } from '../_server.ts'
import { findSession } from '../_storages.ts'
import { event, user } from './_records.ts'

const policy: RefreshPolicy = {
  idleLifetime: 30 * 86_400,
  absoluteLifetime: 365 * 86_400,
  retryWindow: 60,
  lateRetryWindow: 30 * 86_400,
}

async function temporaryDirectory(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-test-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function temporaryFile(t: ExecutionContext): Promise<string> {
  return join(await temporaryDirectory(t), 'latchkey.db')
}

/** A storage on a new file with the user Alice and the public client `app`. */
async function openWithAlice(t: ExecutionContext) {
  const file = await temporaryFile(t)
  const { storage } = openSqliteStorage(file)
  t.teardown(() => storage.close())
  const alice = { id: 'usr_alice', username: 'alice', passwordHash: 'hash', credentialVersion: 1, createdAt: start }
  await storage.createUsers([alice], auditEvent('user.created', start, {}))
  await addClient(storage, 'app')
  return { file, storage }
}

const addClient = (storage: Storage, id: string) =>
  storage.createClient(
    createClient({ id, grantTypes: ['refresh_token'], scope: 'read', createdAt: start }),
    auditEvent('client.created', start, {}),
  )

function signIn(storage: Storage, id: string): Promise<boolean> {
  const about = { id, userId: 'usr_alice', clientId: 'app', scope: 'read write', audience: ['https://a.example'] }
  const device = { device: 'phone', ip: '192.0.2.1', userAgent: 'Mozilla/5.0' }
  const session = createSession({ ...about, ...device, amr: ['pwd'] }, start, policy)
  return storage.createSession(session, { version: 1 }, auditEvent('session.created', start, {}))
}

async function refresh(
  storage: Storage,
  sessionId: string,
  generation: number,
  now: number,
  caller?: Caller,
): Promise<void> {
  const presented = { sessionId, generation, clientId: 'app', ...(caller && { caller }) }
  const decision = await storage.changeSession(sessionId, row =>
    refreshChange(decideRefresh(row, presented, now, policy), now, {}),
  )
  if (decision.kind !== 'rotated') throw new Error(decision.kind)
}

/** Bytes of the database file once everything is in it. */
function checkpointedSize(file: string): number {
  const other = new Database(file)
  const [result] = other.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[]
  other.close()
  if (result?.busy !== 0) throw new Error('the checkpoint could not finish')
  return statSync(file).size
}

/** Another process that holds the write lock, as far as SQLite can tell. */
function lockForWriting(t: ExecutionContext, file: string): { release: () => void } {
  const other = new Database(file)
  other.exec('BEGIN IMMEDIATE')
  t.teardown(() => other.close())
  return { release: () => other.exec('COMMIT') }
}

test('the database and its journal are readable by their owner only', async t => {
  const { file } = await openWithAlice(t)
  for (const suffix of ['', '-wal', '-shm']) t.is(statSync(file + suffix).mode & 0o777, 0o600, suffix)
})

test('the directory of a new database is made, for its owner only', async t => {
  const file = join(await temporaryDirectory(t), 'new', 'data', 'latchkey.db')
  const { storage } = openSqliteStorage(file)
  await storage.close()
  t.is(statSync(join(file, '..')).mode & 0o777, 0o700)
})

test('the journal is a write-ahead log, so that reads go on beside a write', async t => {
  const { file } = await openWithAlice(t)
  const other = new Database(file)
  t.teardown(() => other.close())
  t.is(other.pragma('journal_mode', { simple: true }), 'wal')
})

test('reopening keeps everything that was answered', async t => {
  const { file, storage } = await openWithAlice(t)
  await signIn(storage, 'a')
  await refresh(storage, 'a', firstGeneration, start + 1)
  const session = await findSession(storage, 'a')
  await storage.close()

  const { storage: reopened } = openSqliteStorage(file)
  t.teardown(() => reopened.close())

  t.deepEqual(await findSession(reopened, 'a'), session)
  t.is((await reopened.findUserByUsername('ALICE'))?.id, 'usr_alice')
  t.is((await reopened.listAuditEvents(10)).length, 3)
})

test('what was answered is in the file at once: another connection sees it without a close (promise 5)', async t => {
  const { file, storage } = await openWithAlice(t)
  await signIn(storage, 'a')
  const other = new Database(file, { readonly: true })
  t.teardown(() => other.close())
  t.deepEqual(other.prepare('SELECT id, generation FROM sessions').all(), [{ id: 'a', generation: firstGeneration }])
})

test('closing finishes the writes under way', async t => {
  const { file, storage } = await openWithAlice(t)
  const written = Promise.all(Array.from({ length: 50 }, (_, i) => signIn(storage, `s${i}`)))
  await storage.close()
  t.deepEqual(new Set(await written), new Set([true]))

  const { storage: reopened } = openSqliteStorage(file)
  t.teardown(() => reopened.close())
  t.is((await reopened.listLiveSessions({}, start, 100)).length, 50)
})

test('a request that outlived the close is temporarily_unavailable, reading and writing', async t => {
  const { storage } = openSqliteStorage(await temporaryFile(t))
  await t.notThrowsAsync(storage.check())
  await storage.close()
  for (const request of [() => storage.check(), () => storage.findUser('usr_alice')]) {
    const error = await t.throwsAsync(request, { instanceOf: OAuthError })
    t.is(error?.code, 'temporarily_unavailable')
  }
})

test('an empty database is migrated, once', async t => {
  const file = await temporaryFile(t)
  const first = openSqliteStorage(file)
  await first.storage.close()
  const second = openSqliteStorage(file)
  await second.storage.close()
  t.true(first.migrated > 0)
  t.is(second.migrated, 0)
})

/** A database as the program made it when it knew the first `count` migrations. */
function createOldDatabase(file: string, count: number): Database.Database {
  const folder = new URL('../../migrations/sqlite/', import.meta.url)
  const { entries } = JSON.parse(readFileSync(new URL('meta/_journal.json', folder), 'utf8'))
  const database = new Database(file)
  database.pragma('journal_mode = WAL')
  database.exec('CREATE TABLE __drizzle_migrations (id INTEGER PRIMARY KEY, hash text NOT NULL, created_at numeric)')
  for (const { tag, when } of entries.slice(0, count)) {
    const text = readFileSync(new URL(`${tag}.sql`, folder), 'utf8')
    for (const statement of text.split('--> statement-breakpoint')) database.exec(statement)
    database.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)').run('hash', when)
  }
  return database
}

test('migration 0001 keeps every client, user and session; clients without a secret become public ones', async t => {
  const file = await temporaryFile(t)
  const old = createOldDatabase(file, 1)
  old.exec(`
    INSERT INTO users VALUES ('usr_alice', 'alice', 'alice', NULL, NULL, 'hash', 1, ${start}, NULL);
    INSERT INTO clients VALUES
      ('phone', NULL, 'password refresh_token', 'read write', ${start}, NULL),
      ('web', 'digest', 'password', 'read', ${start}, NULL),
      ('gone', 'digest', 'password', '', ${start}, ${start + 1}),
      ('lost', NULL, 'password', '', ${start}, ${start + 1});
    INSERT INTO sessions VALUES ('a', 'usr_alice', 'phone', 'read', 'https://a.example', 3, 2, ${start}, ${start}, ${start},
      'pwd', ${start}, ${start + 9}, ${start + 99}, NULL, NULL, 'phone', NULL, NULL);
    INSERT INTO audit_events (at, type) VALUES (${start}, 'user.created');
  `)
  old.close()

  const { storage, migrated } = openSqliteStorage(file)
  t.teardown(() => storage.close())

  t.true(migrated > 0)
  const absent = { jwks: undefined, jwksUri: undefined, audience: undefined, resources: undefined }
  const asTheServer = {
    ...absent,
    accessTokenLifetime: undefined,
    refreshIdleLifetime: undefined,
    refreshAbsoluteLifetime: undefined,
  }
  const kept = { ...asTheServer, corsOrigins: [], accessTokenClaims: [], createdAt: start, disabledAt: undefined }
  const publicClient = { ...kept, authenticationMethods: ['none' as const], secretDigests: [] }
  const methods = ['client_secret_basic', 'client_secret_post'] as const
  const confidential = { ...kept, authenticationMethods: [...methods], secretDigests: ['digest'] }
  t.deepEqual(await storage.listClients(), [
    { ...confidential, id: 'gone', grantTypes: ['password'], scope: '', disabledAt: start + 1 },
    { ...publicClient, id: 'lost', grantTypes: ['password'], scope: '', disabledAt: start + 1 },
    { ...publicClient, id: 'phone', grantTypes: ['password', 'refresh_token'], scope: 'read write' },
    { ...confidential, id: 'web', grantTypes: ['password'], scope: 'read' },
  ])
  t.is((await storage.findUserByUsername('alice'))?.id, 'usr_alice')
  t.like(await findSession(storage, 'a'), { clientId: 'phone', generation: 3, idleExpiresAt: start + 9 })
  t.is((await storage.listAuditEvents(9)).length, 1)
  t.true(await storage.consumeOnce('x', start))

  const second = openSqliteStorage(file)
  await second.storage.close()
  t.is(second.migrated, 0)
})

test('names of before they were compared in NFKC_Casefold stay each their own; a new one is like none of them', async t => {
  const file = await temporaryFile(t)
  const old = createOldDatabase(file, 5)
  const names = ['admin', 'admin\u3164', 'ａｄｍｉｎ', 'ｅｖｅ', '\u3164', 'ｊｏｅ', 'jo\u3164e', '김철수']
  const insert = old.prepare("INSERT INTO users VALUES (?, ?, ?, NULL, NULL, 'hash', 1, 0, NULL)")
  for (const [i, name] of names.entries()) insert.run(`usr_${i}`, name, usernameKey(name))
  old.close()

  const { storage } = openSqliteStorage(file)
  t.teardown(() => storage.close())

  const find = async (username: string) => (await storage.findUserByUsername(username))?.username
  for (const name of names) t.is(await find(name), name)
  t.is(await find('Ａdmin'), 'admin')
  t.is(await find('Eve'), 'ｅｖｅ')
  t.is(await find('joe'), undefined, 'one of two')
  for (const nobody of ['', ' ', '\u115f']) t.is(await find(nobody), undefined)
  const user = { passwordHash: 'hash', credentialVersion: 1, createdAt: start }
  const isFree = async (username: string) =>
    (await storage.findTakenUsers([{ ...user, id: 'usr_new', username }])).length === 0
  for (const taken of [...names.filter(name => name !== '\u3164'), 'eve', 'joe', 'ADMIN'])
    t.false(await isFree(taken), taken)
  t.true(await isFree('joel'))
})

test('users of before addresses were unique go on sharing them, and are found by them once they share none', async t => {
  const file = await temporaryFile(t)
  const old = createOldDatabase(file, 1)
  const insert = old.prepare("INSERT INTO users VALUES (?, ?, ?, ?, NULL, 'hash', 1, 0, NULL)")
  for (const [name, email] of [
    ['alice', 'Zoë@example.com'],
    ['bob', 'ZOE\u0308@example.com'],
    ['carol', ' Carol@example.com'],
    ['dave', null],
    ['erin', ''],
  ])
    insert.run(`usr_${name}`, name, name, email)
  old.close()

  const { storage } = openSqliteStorage(file)
  t.teardown(() => storage.close())

  t.false(await storage.hasUniqueEmails())
  const shared = { email: 'zoë@example.com', users: 2, usernames: ['alice', 'bob'] }
  t.deepEqual(await storage.listSharedEmails(5), { count: 1, examples: [shared] })
  t.is(await storage.setUniqueEmails(true), 1)
  await storage.updateUser('usr_bob', { email: undefined }, event('user.updated'))
  t.is(await storage.setUniqueEmails(true), 0)
  t.is((await storage.findUserToSignIn('zoë@EXAMPLE.com', 'email'))?.id, 'usr_alice')
  t.is((await storage.findUserToSignIn('carol@example.com', 'both'))?.id, 'usr_carol')
  t.is(await storage.findUserToSignIn('', 'email'), undefined)
})

test('a migration that fails half-way leaves the database as it was', async t => {
  const file = await temporaryFile(t)
  const old = createOldDatabase(file, 1)
  old.exec(`INSERT INTO clients VALUES ('phone', NULL, 'password', 'read', ${start}, NULL)`)
  // Already there: the table is made before it, the columns after it.
  old.exec('CREATE INDEX remembered_ids_expires_at ON users (created_at)')
  old.close()
  // Nobody else may have it open meanwhile.
  const withFile = <T>(use: (database: Database.Database) => T): T => {
    const database = new Database(file)
    try {
      return use(database)
    } finally {
      database.close()
    }
  }
  const dump = () =>
    withFile(database =>
      ['SELECT * FROM sqlite_schema ORDER BY name', 'SELECT * FROM clients', 'SELECT * FROM __drizzle_migrations'].map(
        query => database.prepare(query).all(),
      ),
    )
  const before = dump()

  const error = t.throws(() => openSqliteStorage(file))
  t.true(error?.message.startsWith(`cannot migrate the database ${file}: `))
  t.deepEqual(dump(), before)
  t.deepEqual(copiesOf(file), [], 'nothing has changed, so nothing is kept')

  withFile(database => database.exec('DROP INDEX remembered_ids_expires_at'))
  const { storage } = openSqliteStorage(file)
  t.deepEqual((await storage.findClient('phone'))?.authenticationMethods, ['none'])
  await storage.close()
})

/** From before a migration, oldest first. */
function copiesOf(file: string): string[] {
  return readdirSync(dirname(file))
    .filter(name => name.startsWith(`${basename(file)}.before-`))
    .toSorted()
}

test('a migration keeps a copy from before, whole and with mode 0600, and the two newest copies only', async t => {
  const file = await temporaryFile(t)
  const old = createOldDatabase(file, 1)
  old.exec(`INSERT INTO clients VALUES ('phone', NULL, 'password', 'read', ${start}, NULL)`)
  old.close()
  for (const time of ['2001-01-01T000000Z', '2002-01-01T000000Z', '2003-01-01T000000Z'])
    writeFileSync(`${file}.before-${time}`, '')
  writeFileSync(`${file}.before-2004-01-01T000000Z.partial`, '')
  writeFileSync(`${file}.before-lunch`, 'of somebody else')

  const reopened: string[] = []
  const { storage, copy } = openSqliteStorage(file, { onReopened: why => reopened.push(why) })
  await addClient(storage, 'web')
  await storage.close()
  t.deepEqual(reopened, [])

  t.deepEqual(copiesOf(file), [
    `${basename(file)}.before-2003-01-01T000000Z`,
    basename(copy!),
    `${basename(file)}.before-lunch`,
  ])
  t.is(statSync(copy!).mode & 0o777, 0o600)
  const kept = new Database(copy!, { readonly: true })
  t.deepEqual(kept.prepare('SELECT id FROM clients').pluck().all(), ['phone'])
  t.is(kept.prepare('SELECT count(*) FROM __drizzle_migrations').pluck().get(), 1)
  t.is(kept.pragma('integrity_check', { simple: true }), 'ok')
  kept.close()
  const again = openSqliteStorage(file)
  await again.storage.close()
  t.deepEqual([again.migrated, again.copy], [0, undefined])
})

test('a copy from before that cannot be written refuses the migration in one line, and nothing has changed', async t => {
  const file = await temporaryFile(t)
  const old = createOldDatabase(file, 1)
  const size = Number(old.pragma('page_count', { simple: true })) * Number(old.pragma('page_size', { simple: true }))
  old.close()
  const refused = new Database(file)
  // As a full disk answers, at the first page of the copy.
  refused.prepare = () => {
    throw new Database.SqliteError('database or disk is full', 'SQLITE_FULL')
  }
  const error = t.throws(() => keepCopy(refused, file))
  t.is(
    error?.message,
    `cannot keep a copy of the database ${file} from before its tables change, so nothing was changed: the disk is full; make room for ${Math.ceil(size / 1e6)} MB`,
  )
  refused.close()
  t.deepEqual(copiesOf(file), [])
})

test('tables are not changed while another process has the database open: an older server would not know them', async t => {
  const file = await temporaryFile(t)
  const old = createOldDatabase(file, 1)
  old.pragma('journal_mode = WAL')
  old.prepare('SELECT * FROM clients').all()

  const error = t.throws(() => openSqliteStorage(file))

  t.is(
    error?.message,
    `another process has the database ${file} open, which is of another version: stop its server before this one changes the tables`,
  )
  t.is(old.prepare('SELECT count(*) FROM __drizzle_migrations').pluck().get(), 1)
  old.exec(`INSERT INTO clients VALUES ('phone', NULL, 'password', 'read', ${start}, NULL)`)
  old.close()
  const { storage, migrated } = openSqliteStorage(file)
  t.true(migrated > 0)
  t.is((await storage.findClient('phone'))?.id, 'phone')
  await storage.close()
})

test('who may not migrate is refused a database that is not there, of another version, or none, and changes nothing', async t => {
  const file = await temporaryFile(t)
  const open = () => openSqliteStorage(file, { migrates: false })
  t.is(
    t.throws(open)?.message,
    `there is no database ${file}; start the server once, run latchkey migrate, or set LATCHKEY_DATABASE_URL`,
  )
  t.false(existsSync(file))
  createOldDatabase(file, 3).close()
  const older = readFileSync(file)
  t.true(t.throws(open)?.message.startsWith(`the database ${file} has not all tables of this version; stop the server`))
  t.deepEqual(readFileSync(file), older)
  const { storage } = openSqliteStorage(file)
  await open().storage.close()
  await storage.close()
  const newer = new Database(file)
  newer.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)').run('future', 9e12)
  newer.close()
  t.regex(t.throws(open)?.message ?? '', /was migrated by a newer latchkey; run that version/)
  writeFileSync(file, 'no database at all, whatever it is called')
  t.true(t.throws(open)?.message.startsWith(`cannot open the database ${file}: `))
})

test('a database that is open elsewhere opens a second time', async t => {
  const { file, storage } = await openWithAlice(t)
  const { storage: second } = openSqliteStorage(file)
  t.teardown(() => second.close())
  await addClient(second, 'web')
  t.is((await storage.findClient('web'))?.id, 'web')
  t.true(await signIn(storage, 'a'))
  t.is((await findSession(second, 'a'))?.id, 'a')
})

test('retries from elsewhere that meet two processes at once are one audit event (RFC 9700 §4.14)', async t => {
  const { file, storage } = await openWithAlice(t)
  const { storage: second } = openSqliteStorage(file)
  t.teardown(() => second.close())
  await signIn(storage, 'a')
  await refresh(storage, 'a', firstGeneration, start)
  const caller = { ip: '203.0.113.9', userAgent: 'curl' }
  const presented = { sessionId: 'a', generation: firstGeneration, clientId: 'app', caller }
  const retry = (one: Storage) =>
    one.changeSession('a', row => refreshChange(decideRefresh(row, presented, start, policy), start, caller))

  const decisions = await Promise.all([storage, second, storage, second].map(retry))

  t.deepEqual(new Set(decisions.map(({ kind }) => kind)), new Set(['retried']))
  const events = await storage.listAuditEvents(10, { type: 'session.retried_elsewhere' })
  t.deepEqual(
    events.map(({ ip, sessionId }) => [ip, sessionId]),
    [['203.0.113.9', 'a']],
  )
})

test('a database newer than the program is refused in one line and left as it is', async t => {
  const file = await temporaryFile(t)
  await openSqliteStorage(file).storage.close()
  const other = new Database(file)
  t.teardown(() => other.close())
  const setNewest = (at: number) => other.prepare('INSERT INTO __drizzle_migrations VALUES (99, ?, ?)').run('hash', at)
  setNewest(9_999_999_999_999)

  const error = t.throws(() => openSqliteStorage(file))
  t.is(
    error?.message,
    `the database ${file} was migrated by a newer latchkey; run that version, or restore a backup from before`,
  )

  other.exec('DELETE FROM __drizzle_migrations WHERE id = 99')
  setNewest(1)
  const { storage } = openSqliteStorage(file)
  await storage.close()
})

test('a file that is no database is refused in one line and left as it is', async t => {
  const file = await temporaryFile(t)
  const text = 'Dear diary, this is not a database.\n'.repeat(100)
  writeFileSync(file, text)
  const error = t.throws(() => openSqliteStorage(file))
  t.is(error?.message, `cannot open the database ${file}: file is not a database`)
  t.is(readFileSync(file, 'utf8'), text)

  writeFileSync(file, '')
  await openSqliteStorage(file).storage.close()
})

test('a path that cannot be a database is refused in one line that names it', async t => {
  const directory = await temporaryDirectory(t)
  writeFileSync(join(directory, 'file'), '')
  for (const path of [directory, join(directory, 'file', 'latchkey.db')]) {
    const error = t.throws(() => openSqliteStorage(path))
    t.regex(error?.message ?? '', /^cannot open the database .+: .+$/)
    t.true(error?.message.includes(path))
    t.false(error?.message.includes('\n'))
  }
})

test('while another process holds the write lock, writes wait and then succeed', async t => {
  const { file, storage } = await openWithAlice(t)
  const lock = lockForWriting(t, file)
  let settled = 0
  const writes = [addClient(storage, 'one'), addClient(storage, 'two')].map(write => write.finally(() => settled++))
  // The first try has been made and has failed by then.
  await setImmediate()
  await setImmediate()
  t.is(settled, 0)
  const third = addClient(storage, 'three')
  t.is((await storage.findUser('usr_alice'))?.username, 'alice')

  lock.release()

  t.deepEqual(await Promise.all([...writes, third]), [true, true, true])
  t.deepEqual(
    (await storage.listClients()).map(({ id }) => id),
    ['app', 'one', 'three', 'two'],
  )
})

test('a write that waits too long is temporarily_unavailable with a time to try again, while reads go on', async t => {
  const { file, storage } = await openWithAlice(t)
  await signIn(storage, 'a')
  const lock = lockForWriting(t, file)
  let reads = 0
  let waiting = true
  const refused = t
    .throwsAsync(refresh(storage, 'a', firstGeneration, start), { instanceOf: OAuthError })
    .finally(() => (waiting = false))
  while (waiting) {
    if ((await storage.findLiveSession('a', start)) !== undefined) reads++
    await setImmediate()
  }

  const error = await refused
  t.is(error?.code, 'temporarily_unavailable')
  t.is(error?.retryAfter, 1)
  t.true(reads > 100)
  t.is((await storage.findLiveSession('a', start))?.session.generation, firstGeneration)

  lock.release()
  await t.notThrowsAsync(refresh(storage, 'a', firstGeneration, start))
})

test('promise 3: 1,000 rotations of one session add no byte to the database', async t => {
  const { file, storage } = await openWithAlice(t)
  await signIn(storage, 'a')
  const before = checkpointedSize(file)
  for (let i = 0; i < 1000; i += 10) {
    const turn = Array.from({ length: 10 }, (_, j) => i + j)
    await Promise.all(turn.map(n => refresh(storage, 'a', firstGeneration + n, start + n)))
  }
  t.is((await findSession(storage, 'a'))?.generation, firstGeneration + 1000)
  t.is(checkpointedSize(file), before)
})

test('promise 3: one rotation of each of 2,000 sessions adds no byte to the database', async t => {
  const { file, storage } = await openWithAlice(t)
  const ids = Array.from({ length: 2000 }, (_, i) => `session-${String(i).padStart(14, '0')}`)
  await Promise.all(ids.map(id => signIn(storage, id)))
  const before = checkpointedSize(file)
  await Promise.all(ids.map(id => refresh(storage, id, firstGeneration, start + 86_400)))
  t.is(checkpointedSize(file), before)
})

test('promise 3: sessions that change network and program all the time grow to a bound', async t => {
  const { file, storage } = await openWithAlice(t)
  const ids = Array.from({ length: 500 }, (_, i) => `session-${String(i).padStart(14, '0')}`)
  await Promise.all(ids.map(id => signIn(storage, id)))
  const sizes = []
  for (let hour = 1; hour <= 24; hour++) {
    const caller = { ip: `2001:db8::${hour % 10}`, userAgent: `${hour % 7}`.repeat(maxUserAgent) }
    await Promise.all(ids.map(id => refresh(storage, id, firstGeneration + hour - 1, start + hour * 3600, caller)))
    sizes.push(checkpointedSize(file))
  }
  t.true(sizes[23]! <= 1.1 * sizes[3]!, String(sizes))
})

test('promise 3: the write-ahead log starts over, so that 20,000 rotations leave it small', async t => {
  const { file, storage } = await openWithAlice(t)
  const ids = Array.from({ length: 200 }, (_, i) => `session-${i}`)
  await Promise.all(ids.map(id => signIn(storage, id)))
  const sizes = []
  for (let i = 0; i < 400; i++) {
    // Every fourth session, so that each turn writes nearly all pages of the table.
    const turn = ids.filter((_, j) => j % 4 === i % 4)
    await Promise.all(turn.map(id => refresh(storage, id, firstGeneration + Math.floor(i / 4), start + i)))
    sizes.push(statSync(`${file}-wal`).size)
  }
  const largest = Math.max(...sizes)
  // SQLite starts over after 1,000 pages of 4 KiB.
  t.true(largest < 5 * 2 ** 20, `${largest} bytes`)
  // The twin: at the pace of the first turns, a log that never starts over would be far longer.
  t.true(400 * ((sizes[40]! - sizes[0]!) / 40) > 2 * largest)
})

test('promise 6: the files hold no refresh token, client secret, password, private key or master secret', async t => {
  const { file, storage } = await openWithAlice(t)
  const randomBytes = createTestRandom(t.title)
  const masterSecret = createMasterSecret(randomBytes)
  const secrets = parseMasterSecrets(masterSecret)!
  const passwords = await createPasswords(cheapHashing, randomBytes)
  const clientSecret = createClientSecret(randomBytes)
  const key = await createSigningKey('ES256', secrets, start, start)
  const sessionId = randomBytes(16).toString('base64url')

  const bob = { id: 'usr_bob', username: 'bob', credentialVersion: 1, createdAt: start }
  const hashed = { ...bob, passwordHash: await passwords.hash(password) }
  await storage.createUsers([hashed], auditEvent('user.created', start, {}))
  const secretDigest = digestClientSecret(clientSecret, secrets[0])
  const web = createClient({ id: 'web', grantTypes: ['password'], scope: 'read', createdAt: start })
  await storage.createClient(addSecretDigest(web, secretDigest), auditEvent('client.created', start, {}))
  await storage.addSigningKey(key, undefined, auditEvent('key.created', start, {}))
  await signIn(storage, sessionId)
  await refresh(storage, sessionId, firstGeneration, start + 1)

  const tokens = [0, 1, 2].map(i => formatRefreshToken({ sessionId, generation: firstGeneration + i }, secrets))
  const opened = await openSigningKey(key, secrets)
  const { d } = opened!.privateKey.export({ format: 'jwk' })
  const texts = [...tokens, clientSecret, password, d!, masterSecret]
  const raw = [
    ...tokens.map(token => Buffer.from(token.slice(4), 'base64url').subarray(25)),
    Buffer.from(clientSecret.slice(4), 'base64url'),
    Buffer.from(d!, 'base64url'),
    opened!.privateKey.export({ format: 'der', type: 'pkcs8' }),
    Buffer.from(masterSecret, 'base64url'),
    ...[secrets[0].refreshTokenKey, secrets[0].clientSecretKey, secrets[0].signingKeyKey].map(key => key.export()),
  ]
  const needles = [...texts.flatMap(text => [text, text.slice(4, 24)]).map(text => Buffer.from(text)), ...raw]

  const search = () => {
    const bytes = Buffer.concat([file, `${file}-wal`].filter(existsSync).map(path => readFileSync(path)))
    // The twin: what is meant to be there is found.
    for (const text of [sessionId, secretDigest, key.kid, 'bob']) t.true(bytes.includes(text), text)
    return needles.filter(needle => bytes.includes(needle)).map(needle => needle.toString('latin1'))
  }
  t.deepEqual(search(), [])
  await storage.close()
  t.deepEqual(search(), [])
})

for (const [rule, name, id, email] of [
  ['a name', 'alice3', 'usr_new', undefined],
  ['a name that looks like one (NFKC_Casefold)', 'ａｌｉｃｅ3', 'usr_new', undefined],
  ['an id', 'carol', 'usr_alice3', undefined],
  ['an address', 'carol', 'usr_new', 'ALICE3@example.com'],
  ['a name that is an address', 'Alice3@example.com', 'usr_new', undefined],
] as const) {
  test(`who is created meanwhile keeps ${rule}: the import beside it creates none`, async t => {
    const { storage } = openSqliteStorage(':memory:')
    t.teardown(() => storage.close())
    // More than one batch writes, however fast the machine.
    const many = Array.from({ length: 5000 }, (_, i) => user(`alice${i}`, { email: `alice${i}@example.com` }))
    let isAdded = false
    const imported = storage.importUsers(many, event('user.created'), () => {
      // Asked once to begin, and then for each batch: the first is there.
      isAdded ||= calls++ >= 3
      if (isAdded && added === undefined)
        added = storage.createUsers([user(name, { id, email })], event('user.created'))
      return start
    })
    let calls = 0
    let added: ReturnType<typeof storage.createUsers> | undefined
    const taken = await imported
    t.deepEqual(await added, [])
    t.deepEqual(
      taken.map(one => one.user.username),
      ['alice3'],
    )
    t.deepEqual(
      (await storage.listUsers()).map(({ username }) => username),
      [name],
    )
  })
}
