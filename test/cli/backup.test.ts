/** Backups under load and their restoration, and the doctor. Design, promise 5. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import Database from 'better-sqlite3'
import { createMasterSecret, parseMasterSecrets } from '../../src/keys/master_secret.ts'
import { backupSqlite } from '../../src/storage/sqlite/file.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import { formatPasskeyData } from '../../src/users/factors/passkey_data.ts'
import {
  createFolder,
  deployment,
  type Environment,
  migratedDeployment,
  postForm,
  runCli,
  runCommand,
  startProcess,
} from '../_process.ts'
import { createClock, createTestRandom, startServer } from '../_server.ts'

const password = 'a password that will do'

async function createDeployment(t: Parameters<typeof createFolder>[0], extra: Environment = {}) {
  const folder = createFolder(t)
  const environment = migratedDeployment(folder, { LATCHKEY_BOOTSTRAP: 'off', LATCHKEY_THROTTLE: 'off', ...extra })
  await runCommand(['user', 'add', 'alice', '--password-stdin'], environment, password)
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password', '--grant', 'refresh_token'], environment)
  await runCommand(['client', 'add', 'web', '--grant', 'password'], environment)
  return { folder, environment, database: join(folder, 'data/latchkey.db'), secret: join(folder, 'data/secret') }
}

test('a backup made under load, restored a day later, signs nobody out and the doctor finds it well', async t => {
  const { environment, database, secret, folder } = await createDeployment(t)
  const server = await startProcess(t, environment)
  const token = (params: Record<string, string>) => postForm(`${server.url}/token`, { client_id: 'app', ...params })
  const signIn = () => token({ grant_type: 'password', username: 'alice', password })
  const devices = await Promise.all(Array.from({ length: 8 }, async () => String((await signIn()).body.refresh_token)))
  const left = String((await signIn()).body.refresh_token)
  let isLoaded = true
  let refreshes = 0
  const load = devices.map(async (_, i) => {
    while (isLoaded) {
      const answer = await token({ grant_type: 'refresh_token', refresh_token: devices[i]! })
      if (answer.status !== 200) throw new Error(JSON.stringify(answer))
      devices[i] = String(answer.body.refresh_token)
      refreshes++
    }
  })
  const others: Promise<unknown>[] = []
  const copy = join(folder, 'copies/backup.db')
  mkdirSync(dirname(copy))

  const before = refreshes
  const backup = await runCli(['backup', copy, '--json'], environment)
  t.true(refreshes > before, 'the load went on meanwhile')
  // After the backup: these are not in it.
  others.push(
    signIn(),
    postForm(`${server.url}/revoke`, { client_id: 'app', token: left }).catch(() => {}),
  )
  await Promise.all(others)
  const seen = refreshes
  while (refreshes < seen + 50) await new Promise(resolve => setImmediate(resolve))
  isLoaded = false
  await Promise.all(load)
  await server.stop()

  t.is(backup.code, 0, backup.stderr)
  t.deepEqual(JSON.parse(backup.stdout), { database, file: copy, bytes: statSync(copy).size })
  t.is(statSync(copy).mode & 0o777, 0o600)
  t.deepEqual(readdirSync(dirname(copy)), ['backup.db'], 'nothing is left beside it')
  for (const suffix of ['', '-wal', '-shm']) rmSync(database + suffix, { force: true })
  copyFileSync(copy, database)
  const doctor = JSON.parse((await runCommand(['doctor', '--json'], environment)).stdout)
  t.true(doctor.healthy)
  t.deepEqual(
    doctor.findings
      .filter(({ state }: { state: string }) => state !== 'ok')
      .map(({ check }: { check: string }) => check),
    ['master secret'],
    'it is beside the database, and all else is well',
  )
  const { storage } = openSqliteStorage(database)
  t.teardown(() => storage.close())
  const aDayLater = await startServer(t, {
    storage,
    secrets: parseMasterSecrets(readFileSync(secret, 'utf8'))!,
    clock: createClock(Math.floor(Date.now() / 1000) + 86_400),
  })
  for (const device of devices) t.is((await aDayLater.refresh(device)).status, 200)
  t.is((await aDayLater.refresh(left)).status, 200, 'the state of its time: who signed out since is signed in again')
})

test('backup never overwrites, leaves nothing behind when it fails, and says in one line why', async t => {
  const { environment, folder, database } = await createDeployment(t)
  const taken = join(folder, 'taken.db')
  writeFileSync(taken, 'precious')
  const refusals = [
    [await runCommand(['backup', taken], environment), /^latchkey: \S+taken\.db is there already\n$/],
    [await runCommand(['backup', join(folder, 'none/x.db')], environment), /^latchkey: cannot write \S+: ENOENT.*\n$/],
    [
      await runCommand(['backup', join(folder, 'x.db')], {
        ...environment,
        LATCHKEY_DATABASE_URL: `file:${folder}/no.db`,
      }),
      /^latchkey: there is no database \S+no\.db; .*\n$/,
    ],
  ] as const
  for (const [{ code, stdout, stderr }, expected] of refusals) {
    t.deepEqual([code, stdout], [1, ''])
    t.regex(stderr, expected)
  }
  t.is(readFileSync(taken, 'utf8'), 'precious')
  const interrupted = join(folder, 'y.db')
  writeFileSync(`${interrupted}.partial`, '')
  await t.throwsAsync(backupSqlite(database, interrupted), {
    message: /was interrupted; in that case remove this file/,
  })
  t.deepEqual(readdirSync(folder).toSorted(), ['data', 'taken.db', 'y.db.partial'])
  rmSync(`${interrupted}.partial`)
  t.true((await backupSqlite(database, interrupted)) > 0)
})

test('a backup of a damaged database is no backup', async t => {
  const { environment, folder, database } = await createDeployment(t)
  damage(database)
  const { code, stderr } = await runCommand(['backup', join(folder, 'x.db')], environment)
  t.is(code, 1)
  t.regex(stderr, /the copy is damaged: .*; run latchkey doctor on the original/)
  t.deepEqual(readdirSync(folder), ['data'])
})

/** A row that breaks a rule of its table, which a look at the pages alone would not show. */
function damage(file: string) {
  const database = new Database(file)
  database.unsafeMode()
  database.pragma('writable_schema = ON')
  database.exec(
    "UPDATE sqlite_schema SET sql = replace(sql, '`email` text', '`email` text NOT NULL') WHERE name = 'users'",
  )
  database.close()
}

type Check = { check: string; state: string; found: string; advice?: string }

async function examine(environment: Environment): Promise<{ code: number | null; findings: Record<string, Check> }> {
  const { code, stdout, stderr } = await runCommand(['doctor', '--json'], environment)
  if (stderr !== '') throw new Error(stderr)
  const { findings, healthy } = JSON.parse(stdout) as { findings: Check[]; healthy: boolean }
  if (healthy !== (code === 0)) throw new Error('healthy and the exit code differ')
  return { code, findings: Object.fromEntries(findings.map(one => [one.check, one])) }
}

test('the doctor finds a deployment well that keeps its secret elsewhere, and changes nothing', async t => {
  const { environment, folder, database, secret } = await createDeployment(t)
  await (await startProcess(t, environment)).stop()
  const elsewhere = join(folder, 'secret')
  renameSync(secret, elsewhere)
  const well = { ...environment, LATCHKEY_SECRET_FILE: elsewhere }
  const before = readFileSync(database)

  const { code, findings } = await examine(well)

  t.is(code, 0)
  t.deepEqual([...new Set(Object.values(findings).map(({ state }) => state))], ['ok'])
  t.deepEqual(Object.keys(findings), [
    'database',
    'migrations',
    'master secret',
    'signing keys',
    'clients',
    'e-mail addresses',
    'file modes',
    'disk',
    'clock',
  ])
  t.true(readFileSync(database).equals(before))
  t.regex((await runCommand(['doctor'], well)).stdout, /^STATE +CHECK +FOUND\nok +database /)
})

test('before the first start the doctor misses no master secret: there is nothing under one yet', async t => {
  const folder = createFolder(t)
  const environment = deployment(folder)
  await runCommand(['migrate'], environment)

  const { code, findings } = await examine(environment)

  t.is(code, 0)
  t.like(findings['master secret'], { state: 'warning', advice: 'start the server, which makes it' })
  t.false(existsSync(join(folder, 'data/secret')))
  const elsewhere = { ...environment, LATCHKEY_SECRET_FILE: join(folder, 'none') }
  t.like((await examine(elsewhere)).findings['master secret'], { state: 'failed' })
})

/** Held until the process ends. */
const holders: Database.Database[] = []

/** As a database of before is. */
function relax(database: string) {
  const db = new Database(database)
  db.exec("INSERT INTO relaxed_rules (rule) VALUES ('unique_email')")
  return db
}

/** Three users have one address, each in a spelling of its own, and one is called as the address of another. */
function shareAddresses(database: string): void {
  const db = relax(database)
  const add = db.prepare(
    "INSERT INTO users (id, username, username_key, email, email_key, password_hash, credential_version, created_at) VALUES ('usr_' || @name, @name, @name, @email, lower(@email), '', 1, 0)",
  )
  for (const [name, email] of [
    ['anna', 'a@example.com'],
    ['b', 'A@example.com'],
    ['carol', 'a@Example.com'],
    ['dave', null],
    ['erin', 'c@example.com'],
    ['c@example.com', null],
  ])
    add.run({ name, email })
  db.close()
}

/** What is done to a deployment, and what the doctor says of it. */
const illnesses: Record<
  string,
  [
    check: string,
    state: string,
    found: RegExp,
    advice: RegExp,
    make: (place: Awaited<ReturnType<typeof createDeployment>>) => unknown,
  ]
> = {
  'no database': ['database', 'failed', /there is no/, /start the server once/, ({ database }) => rmSync(database)],
  'a file that is no database': [
    'database',
    'failed',
    /not a database/,
    /restore/,
    ({ database }) => writeFileSync(database, 'a letter to my aunt, and not a database at all'.repeat(50)),
  ],
  'a folder in the place of the database': [
    'database',
    'failed',
    /is no file/,
    /LATCHKEY_DATABASE_URL/,
    ({ environment, folder }) => ({ ...environment, LATCHKEY_DATABASE_URL: `file:${folder}` }),
  ],
  'a database that another program holds': [
    'database',
    'failed',
    /is locked/,
    /end that one/,
    ({ database }) => {
      const other = new Database(database)
      other.pragma('locking_mode = EXCLUSIVE')
      other.exec('BEGIN EXCLUSIVE')
      holders.push(other)
    },
  ],
  'a damaged index': ['database', 'failed', /damaged: /, /restore the last backup/, ({ database }) => damage(database)],
  'a missing migration': [
    'migrations',
    'warning',
    /1 is missing/,
    /latchkey migrate/,
    ({ database }) => {
      const db = new Database(database)
      db.exec('DELETE FROM __drizzle_migrations WHERE id = (SELECT max(id) FROM __drizzle_migrations)')
      db.close()
    },
  ],
  'a newer database': [
    'migrations',
    'failed',
    /newer/,
    /run that version/,
    ({ database }) => {
      const db = new Database(database)
      db.exec("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('future', 9000000000000)")
      db.close()
    },
  ],
  'a lost master secret': ['master secret', 'failed', /there is no/, /bring it back/, ({ secret }) => rmSync(secret)],
  'a secret that cannot be used': [
    'master secret',
    'failed',
    /cannot be used/,
    /right one/,
    ({ secret }) => writeFileSync(secret, 'short'),
  ],
  'a wrong master secret': [
    'signing keys',
    'failed',
    /does not open/,
    /bring the right master secret back/,
    ({ secret }) => writeFileSync(secret, createMasterSecret(createTestRandom('wrong'))),
  ],
  'clients of a master secret that is gone': [
    'clients',
    'failed',
    /the secrets of web are under/,
    /rotate-secret/,
    ({ secret }) => writeFileSync(secret, createMasterSecret(createTestRandom('wrong'))),
  ],
  'an old secret that is still there': [
    'master secret',
    'warning',
    /is in the folder of the database/,
    /LATCHKEY_SECRET_FILE/,
    ({ secret }) =>
      writeFileSync(secret, `${createMasterSecret(createTestRandom('new'))},${readFileSync(secret, 'utf8')}`),
  ],
  'files that others can read': [
    'file modes',
    'warning',
    /secret has 0644/,
    /chmod 600/,
    ({ secret }) => chmodSync(secret, 0o644),
  ],
  'the first password lying about': [
    'first password',
    'warning',
    /first-sign-in/,
    /remove the file/,
    ({ folder }) => writeFileSync(join(folder, 'data/first-sign-in'), 'x', { mode: 0o600 }),
  ],
  'addresses that several users share': [
    'e-mail addresses',
    'warning',
    /^2 are more than one user's, as address or as username: a@example\.com \(anna, b, carol\), c@example\.com \(c@example\.com, erin\)$/,
    /latchkey user update, then set LATCHKEY_UNIQUE_EMAIL=on/,
    ({ database }) => shareAddresses(database),
  ],
  'addresses that several users share where none may': [
    'e-mail addresses',
    'failed',
    /^2 are more than one user's/,
    /latchkey user update/,
    ({ database, environment }) => {
      shareAddresses(database)
      return { ...environment, LATCHKEY_UNIQUE_EMAIL: 'on' }
    },
  ],
  'addresses that are shared by none, and may be': [
    'e-mail addresses',
    'warning',
    /and none have/,
    /LATCHKEY_UNIQUE_EMAIL=on/,
    ({ database }) => void relax(database).close(),
  ],
  'another algorithm in the settings': [
    'signing keys',
    'warning',
    /ES256/,
    /restart the server/,
    ({ environment }) => ({ ...environment, LATCHKEY_SIGNING_ALG: 'RS256' }),
  ],
  'passkeys of a domain that is not set any more': [
    'passkeys',
    'warning',
    /^1 of auth\.example\.com, and the domain is localhost: they do not work$/,
    /LATCHKEY_PASSKEY_RP_ID/,
    ({ database }) => {
      const data = formatPasskeyData({
        rpId: 'auth.example.com',
        publicKey: 'x',
        alg: -7,
        transports: [],
        backupEligible: true,
        backedUp: true,
        aaguid: '',
      })
      const db = new Database(database)
      db.prepare(
        "INSERT INTO factors (id, user_id, kind, created_at, data, counter, handle) SELECT 'fac_1', id, 'passkey', 0, ?, 0, 'x' FROM users",
      ).run(data)
      db.close()
    },
  ],
  'a clock that was set back': [
    'clock',
    'warning',
    /has something of 2100-/,
    /NTP/,
    ({ database }) => {
      const db = new Database(database)
      db.exec("INSERT INTO audit_events (at, type) VALUES (4102444800 + 86400, 'key.created')")
      db.close()
    },
  ],
}

for (const [name, [check, state, found, advice, make]] of Object.entries(illnesses)) {
  test(`the doctor tells of ${name}, and says what to do`, async t => {
    const place = await createDeployment(t)
    await (await startProcess(t, place.environment)).stop()
    t.not((await examine(place.environment)).findings[check]?.state, 'failed')

    const { code, findings } = await examine((make(place) as Environment | undefined) ?? place.environment)

    t.like(findings[check], { state })
    t.regex(findings[check]!.found, found)
    t.regex(findings[check]!.advice ?? '', advice)
    t.is(code, Object.values(findings).some(one => one.state === 'failed') ? 1 : 0)
    t.is(existsSync(place.secret), name !== 'a lost master secret', 'nothing is made in the place of what is lost')
  })
}
