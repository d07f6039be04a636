/** `latchkey migrate-to`: from SQLite to PostgreSQL and back, and nobody is signed out. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import Database from 'better-sqlite3'
import { startFaultyProxy } from '../_faulty_proxy.ts'
import { emptyDatabase, openClient } from '../_postgres.ts'
import {
  createFolder,
  type Environment,
  migratedDeployment,
  postForm,
  type RunningServer,
  runCli,
  runCommand,
  startProcess,
} from '../_process.ts'

const password = 'a password that will do'
const databasePassword = 'latchkey'
const issuer = 'http://localhost:7999'

/** A deployment on SQLite, and the URL of an empty PostgreSQL without its password, which is in the environment. */
async function createDeployment(t: ExecutionContext) {
  const folder = createFolder(t)
  const url = new URL(await emptyDatabase(t))
  const withPassword = url.href
  url.password = ''
  const environment = migratedDeployment(folder, {
    LATCHKEY_BOOTSTRAP: 'off',
    LATCHKEY_ISSUER: issuer,
    LATCHKEY_THROTTLE: 'off',
    // Whoever signs in without an end crowds nobody out.
    LATCHKEY_SESSION_LIMIT: '10000',
    PGPASSWORD: databasePassword,
  })
  const file = join(folder, 'data/latchkey.db')
  return {
    folder,
    file,
    url: url.href,
    withPassword,
    environment,
    onPostgres: { ...environment, LATCHKEY_DATABASE_URL: url.href, LATCHKEY_SECRET_FILE: join(folder, 'data/secret') },
    onFile: (name: string): Environment => ({
      ...environment,
      LATCHKEY_DATABASE_URL: `file:${join(folder, name)}`,
      LATCHKEY_SECRET_FILE: join(folder, 'data/secret'),
    }),
  }
}

type Deployment = Awaited<ReturnType<typeof createDeployment>>

async function addEverybody({ environment }: Pick<Deployment, 'environment'>): Promise<string> {
  await runCommand(['migrate'], environment)
  await runCommand(['user', 'add', 'alice', '--password-stdin'], environment, password)
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password', '--grant', 'refresh_token'], environment)
  const web = await runCommand(['client', 'add', 'web', '--grant', 'password', '--json'], environment)
  return JSON.parse(web.stdout).client_secret
}

const json = (text: string) => JSON.parse(text)

async function migrateTo(url: string, environment: Environment) {
  const { code, stdout, stderr } = await runCommand(['migrate-to', url, '--json'], environment)
  const document = stdout === '' ? undefined : json(stdout)
  // As it would be told without --json.
  if (code !== 0 && document?.error !== undefined)
    return { code, stderr: `latchkey: ${document.error_description}\n`, document: undefined }
  return { code, stderr, document }
}

function clientOf(server: RunningServer) {
  const token = (params: Record<string, string>) => postForm(`${server.url}/token`, { client_id: 'app', ...params })
  return {
    signIn: () => token({ grant_type: 'password', username: 'alice', password }),
    refresh: (refreshToken: unknown) => token({ grant_type: 'refresh_token', refresh_token: String(refreshToken) }),
    revoke: (refreshToken: unknown) =>
      fetch(`${server.url}/revoke`, {
        method: 'POST',
        body: new URLSearchParams({ client_id: 'app', token: String(refreshToken) }),
      }),
    me: (accessToken: unknown) =>
      fetch(`${server.url}/users/me`, { headers: { authorization: `Bearer ${accessToken}` } }).then(
        ({ status }) => status,
      ),
    introspect: async (secret: string, accessToken: unknown) =>
      (
        await postForm(`${server.url}/introspect`, {
          client_id: 'web',
          client_secret: secret,
          token: String(accessToken),
        })
      ).body.active,
    async logIn() {
      const answer = await fetch(`${server.url}/login`, {
        method: 'POST',
        body: new URLSearchParams({ username: 'alice', password }),
        redirect: 'manual',
      })
      return answer.headers
        .getSetCookie()
        .map(cookie => cookie.split(';')[0]!)
        .join('; ')
    },
    profile: (cookie: string) => fetch(`${server.url}/profile`, { headers: { cookie } }).then(({ status }) => status),
  }
}

test('SQLite to PostgreSQL and back: tokens of both kinds, cookies, client secrets and the audit trail live on; ended sessions stay ended', async t => {
  const place = await createDeployment(t)
  const secret = await addEverybody(place)
  const first = await startProcess(t, place.environment)
  const before = clientOf(first)
  const { body: alice } = await before.signIn()
  const { body: gone } = await before.signIn()
  const cookie = await before.logIn()
  t.is(await before.profile(cookie), 200)
  t.is((await before.revoke(gone.refresh_token)).status, 200)
  await first.stop()
  const events = async (environment: Environment) => json((await runCommand(['audit', '--json'], environment)).stdout)
  const trail = await events(place.environment)
  const keys = (await runCommand(['key', 'list', '--json'], place.environment)).stdout

  let tokens = alice
  const check = async (environment: Environment, from: string) => {
    const server = await startProcess(t, environment)
    const now = clientOf(server)
    t.is(await now.me(tokens.access_token), 200)
    t.true(await now.introspect(secret, tokens.access_token))
    t.is(await now.profile(cookie), 200)
    t.is((await now.refresh(gone.refresh_token)).body.error, 'invalid_grant')
    const { status, body } = await now.refresh(tokens.refresh_token)
    t.is(status, 200)
    tokens = body
    t.is((await runCommand(['key', 'list', '--json'], environment)).stdout, keys)
    const [newest, ...older] = await events(environment)
    t.is(newest.type, 'database.moved')
    t.regex(newest.detail, /^operator \S+: from /)
    t.true(newest.detail.endsWith(`from ${from}`), newest.detail)
    t.deepEqual(older.slice(-trail.length), trail)
    t.is(await server.stop(), 0)
  }

  const there = await migrateTo(place.url, place.environment)
  t.deepEqual([there.code, there.stderr], [0, ''])
  t.like(there.document, { from: `file:${place.file}`, replaced_texts: 0, left_out_users: 0 })
  t.deepEqual(
    there.document.tables.slice(0, 3).map(({ table, rows }: { table: string; rows: number }) => [table, rows]),
    [
      ['users', 1],
      ['clients', 3],
      ['sessions', 3],
    ],
  )
  await check(place.onPostgres, `file:${place.file}`)

  const back = place.onFile('back/latchkey.db')
  const returned = await migrateTo(back.LATCHKEY_DATABASE_URL!, place.onPostgres)
  t.deepEqual([returned.code, returned.stderr], [0, ''])
  await check(back, there.document.to)

  for (const environment of [place.environment, place.onPostgres]) {
    for (const args of [['serve'], ['migrate'], ['user', 'list'], ['doctor'], ['backup', join(place.folder, 'x')]]) {
      // On PostgreSQL it says what to use instead.
      if (args[0] === 'backup' && environment === place.onPostgres) continue
      // Serving ends its process.
      const { code, stdout, stderr } = await (args[0] === 'serve' ? runCli : runCommand)(args, environment)
      t.deepEqual([code, stdout], [78, ''], args.join(' '))
      t.regex(stderr, /^latchkey: all that was in \S+ moved to \S+ at \d{4}-\S+Z: set LATCHKEY_DATABASE_URL to that\n$/)
    }
  }
  t.false(existsSync(join(place.folder, 'x')))
})

for (const direction of ['from SQLite to PostgreSQL', 'from PostgreSQL to SQLite'] as const) {
  test(`${direction} beside a running server: what it answered is there, and from then on it answers 503 and says where all went`, async t => {
    const place = await createDeployment(t)
    await addEverybody(place)
    const isBack = direction !== 'from SQLite to PostgreSQL'
    if (isBack) t.is((await migrateTo(place.url, place.environment)).code, 0)
    const old = isBack ? place.onPostgres : place.environment
    const next = isBack ? place.onFile('back.db') : place.onPostgres
    const server = await startProcess(t, old)
    const client = clientOf(server)
    const open: unknown[] = []
    const ended: unknown[] = []
    let isMoving = true
    let refused = 0
    const load = Array.from({ length: 6 }, async (_, i) => {
      while (isMoving) {
        const { status, body } = await client.signIn()
        if (status === 503) refused++
        else if (status !== 200) throw new Error(JSON.stringify(body))
        else if (i % 2 === 0)
          open.push((await client.refresh(body.refresh_token)).body.refresh_token ?? body.refresh_token)
        else if ((await client.revoke(body.refresh_token)).status === 200) ended.push(body.refresh_token)
        else open.push(body.refresh_token)
      }
    })
    while (open.length < 5 || ended.length < 5) await new Promise(resolve => setImmediate(resolve))

    const moved = await migrateTo(next.LATCHKEY_DATABASE_URL!, old)
    t.deepEqual([moved.code, moved.stderr], [0, ''])
    const { status } = await client.signIn()
    t.is(status, 503)
    // Also what writes nothing: within a second the server takes no answer from there.
    while ((await fetch(`${server.url}/health/ready`)).status !== 503)
      await new Promise(resolve => setImmediate(resolve))
    while ((await client.refresh(open[0])).status !== 503) await new Promise(resolve => setImmediate(resolve))
    isMoving = false
    await Promise.all(load)
    t.true(refused > 0)
    t.true(
      server.log.some(entry => JSON.stringify(entry).includes('all that was in')),
      'its log says where',
    )
    t.is(await server.stop(), 0)

    const successor = clientOf(await startProcess(t, next))
    for (const token of open) {
      const { status, body } = await successor.refresh(token)
      t.is(status, 200, `${JSON.stringify(body)}, ${open.length} open, ${ended.length} ended`)
    }
    for (const token of ended) t.is((await successor.refresh(token)).body.error, 'invalid_grant')
    const healed = await runCommand(['audit', '--type', 'session.healed', '--json'], next)
    t.is(healed.stdout, '[]\n', 'no refresh was answered that had not come along')
  })
}

test('a target that has anything in it is refused, and stays as it is; so does the source', async t => {
  const place = await createDeployment(t)
  await addEverybody(place)
  await runCommand(['migrate'], place.onPostgres)
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password'], place.onPostgres)
  await runCommand(['client', 'remove', 'app'], place.onPostgres)
  t.regex(
    (await migrateTo(place.url, place.environment)).stderr,
    /is not empty: it has audit_events; nothing was moved/,
  )
  await runCommand(['user', 'add', 'bob', '--password-stdin'], place.onPostgres, password)

  const { code, stderr } = await migrateTo(place.url, place.environment)
  t.is(code, 1)
  t.regex(stderr, /^latchkey: postgres:\S+ is not empty: it has users; nothing was moved\n$/)
  const names = async (environment: Environment) =>
    json((await runCommand(['user', 'list', '--json'], environment)).stdout).map(
      ({ username }: { username: string }) => username,
    )
  t.deepEqual(await names(place.environment), ['alice'])
  t.deepEqual(await names(place.onPostgres), ['bob'])
})

test('what cannot be moved to is usage, in one line that never has the password', async t => {
  const place = await createDeployment(t)
  await addEverybody(place)
  const urls = [
    `file:${join(place.folder, 'x.db')}`,
    'mysql://latchkey:hunter2@db/x',
    'postgres://latchkey:hunter2@db:x/y',
    'postgres',
  ]
  for (const url of urls) {
    const { code, stderr } = await migrateTo(url, place.environment)
    t.is(code, 2, url)
    t.regex(stderr, /^latchkey: migrate-to [^\n]+\n$/)
    t.false(stderr.includes('hunter2'))
  }
  t.false(existsSync(join(place.folder, 'x.db')))
  const nothing = { ...place.environment, LATCHKEY_DATABASE_URL: `file:${join(place.folder, 'no.db')}` }
  t.deepEqual(await migrateTo(place.url, nothing), {
    code: 1,
    stderr: `latchkey: there is no database ${join(place.folder, 'no.db')}; start the server once, run latchkey migrate, or set LATCHKEY_DATABASE_URL\n`,
    document: undefined,
  })
  t.is((await migrateTo(place.url, place.environment)).code, 0)
})

test('a password in the URL is printed nowhere, and is in neither database', async t => {
  const place = await createDeployment(t)
  await addEverybody(place)
  const secretUrl = new URL(place.withPassword)
  secretUrl.searchParams.set('application_name', 'hunter2')
  const { PGPASSWORD: _, ...environment } = place.environment
  const { code, stdout, stderr } = await runCommand(['migrate-to', secretUrl.href], environment)
  t.is(code, 0, stderr)
  t.regex(stdout, /^TABLE +ROWS +SHA-256\nusers +1 +[0-9a-f]{64}\n/)
  t.regex(
    stdout,
    /set LATCHKEY_DATABASE_URL to postgres:\S+, with the parameters that you gave, and LATCHKEY_SECRET_FILE to \S+\/data\/secret;/,
  )
  const hints = [`:${databasePassword}@`, 'hunter2']
  const refusal = (await runCommand(['user', 'list'], environment)).stderr
  const client = await openClient(t, place.withPassword)
  const moves = JSON.stringify((await client.query('SELECT * FROM moves')).rows)
  const bytes = readFileSync(place.file, 'latin1')
  for (const text of [stdout, refusal, moves, bytes]) for (const hint of hints) t.false(text.includes(hint), hint)
})

test('U+0000 of old rows becomes U+FFFD where it is only shown, and is refused with its row anywhere else', async t => {
  const place = await createDeployment(t)
  await addEverybody(place)
  const change = (text: string) => {
    const database = new Database(place.file)
    database.exec(text)
    database.close()
  }
  change("UPDATE users SET full_name = 'A' || char(0) || 'lice', email = 'a' || char(0)")
  const { code, stderr } = await migrateTo(place.url, place.environment)
  t.is(code, 1)
  t.regex(
    stderr,
    /^latchkey: email of "usr_\S+" in users has the character U\+0000, which PostgreSQL cannot hold; nothing was moved\n$/,
  )
  t.is((await runCommand(['user', 'list'], place.environment)).code, 0)

  change('UPDATE users SET email = NULL')
  t.like((await migrateTo(place.url, place.environment)).document, { replaced_texts: 1 })
  t.is(json((await runCommand(['user', 'show', 'alice', '--json'], place.onPostgres)).stdout).full_name, 'A\ufffdlice')
})

test('users of an import that is not whole are left out, and counted', async t => {
  const place = await createDeployment(t)
  await addEverybody(place)
  const database = new Database(place.file)
  database.exec(
    `INSERT INTO pending_imports (id, seen_at, first_row, lost) VALUES (7, 1, 1, 0);
     INSERT INTO users (id, username, username_key, password_hash, credential_version, created_at, import_id)
       VALUES ('usr_b', 'bob', 'bob', '', 1, 1, 7), ('usr_c', 'carol', 'carol', '', 1, 1, 3)`,
  )
  database.close()
  t.like((await migrateTo(place.url, place.environment)).document, { left_out_users: 1 })
  const users = json((await runCommand(['user', 'list', '--json'], place.onPostgres)).stdout)
  t.deepEqual(
    users.map(({ username }: { username: string }) => username),
    ['alice', 'carol'],
  )
})

test('a database into which a move was interrupted is refused with what to do; once it has arrived it is used', async t => {
  const place = await createDeployment(t)
  for (const environment of [place.environment, place.onPostgres]) await runCommand(['migrate'], environment)
  const client = await openClient(t, place.withPassword)
  const file = new Database(place.file)
  t.teardown(() => void file.close())
  const set = async (state: string) => {
    await client.query(
      "INSERT INTO moves VALUES ('m', $1, 'file:/from', 1) ON CONFLICT (id) DO UPDATE SET state = $1",
      [state],
    )
    file.prepare("INSERT OR REPLACE INTO moves VALUES ('m', ?, 'postgres://from', 1)").run(state)
  }
  await set('arriving')
  for (const environment of [place.environment, place.onPostgres]) {
    const { code, stderr } = await runCommand(['user', 'list'], environment)
    t.is(code, 78)
    t.regex(
      stderr,
      /^latchkey: the move from \S+ to \S+ was interrupted: set [^\n]+, and run latchkey migrate-to once more\n$/,
    )
  }
  await set('arrived')
  for (const environment of [place.environment, place.onPostgres])
    t.is((await runCommand(['user', 'list'], environment)).code, 0)
})

test('the same move again is no failure, and another one of what has gone is 78', async t => {
  const place = await createDeployment(t)
  await addEverybody(place)
  for (let i = 0; i < 2; i++) t.is((await migrateTo(place.url, place.environment)).code, 0)
  const other = await createDeployment(t)
  const { code, stderr } = await migrateTo(other.url, place.environment)
  t.is(code, 78)
  t.regex(
    stderr,
    /^latchkey: all that was in file:\S+ moved to postgres:\S+ at \S+: set LATCHKEY_DATABASE_URL to that\n$/,
  )
})

for (const [step, statement] of [
  ['everything', /insert into moves/i],
  ['the last step', /drop trigger if exists moved/i],
] as const) {
  for (const lost of ['answer', 'request'] as const) {
    test(`the ${lost} of the commit of ${step} is lost on the way: the same command ends it well`, async t => {
      const place = await createDeployment(t)
      await addEverybody(place)
      const far = new URL(place.url)
      const proxy = await startFaultyProxy(t, { port: Number(far.port) })
      far.port = String(proxy.port)
      const sprung = lost === 'answer' ? proxy.loseCommitAnswer({ statement }) : proxy.loseCommit({ statement })
      const { code, stderr } = await migrateTo(far.href, place.environment)
      await sprung
      t.is(code, 1)
      t.regex(stderr, /^latchkey: [^\n]+ run the same command once more: [^\n]+\n$/)
      const isInUse = async (environment: Environment) =>
        (await runCommand(['user', 'show', 'alice'], environment)).code === 0
      const [there, here] = [await isInUse(place.environment), await isInUse(place.onPostgres)]
      t.is(there, step === 'everything')
      t.is(here, step !== 'everything' && lost === 'answer')

      t.is((await migrateTo(place.url, place.environment)).code, 0)
      t.false(await isInUse(place.environment))
      t.true(await isInUse(place.onPostgres))
    })
  }
}
