/** `LATCHKEY_UNIQUE_EMAIL`: what a start and `latchkey migrate` make of it, and what operators hear of addresses that are taken. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import Database from 'better-sqlite3'
import { ConfigError, readConfig } from '../src/config.ts'
import { settleUniqueEmail } from '../src/unique_email.ts'
import {
  createFolder,
  deployment,
  type Environment,
  migratedDeployment,
  runCli,
  runCommand,
  startProcess,
} from './_process.ts'
import { password } from './_server.ts'
import { openTestStorage } from './_storages.ts'

const settings = (LATCHKEY_UNIQUE_EMAIL: string) => readConfig({ LATCHKEY_UNIQUE_EMAIL })

/** A database of before: its users may share addresses. */
function oldDeployment(t: ExecutionContext): Environment {
  const environment = migratedDeployment(createFolder(t))
  const database = new Database(environment.LATCHKEY_DATABASE_URL!.slice('file:'.length))
  database.exec("INSERT INTO relaxed_rules (rule) VALUES ('unique_email')")
  database.close()
  return environment
}

const add = (environment: Environment, name: string, email: string) =>
  runCommand(['user', 'add', name, '--email', email, '--password-stdin', '--json'], environment, password)

test('the setting goes into the database when it says something else; where it says nothing the database decides', async t => {
  const storage = await openTestStorage(t)
  const told: unknown[] = []
  for (const [setting, isUnique] of [
    ['', true],
    ['on', true],
    ['off', false],
    ['', false],
    ['off', false],
    ['on', true],
  ] as const) {
    await settleUniqueEmail(storage, settings(setting), { info: (about: unknown) => told.push(about) })
    t.is(await storage.hasUniqueEmails(), isUnique)
  }
  t.deepEqual(told, [{ uniqueEmail: false }, { uniqueEmail: true }])
})

test('who signs in by address needs unique ones: the settings say so, or else the database, in one line', async t => {
  for (const by of ['email', 'both']) {
    const problem = `LATCHKEY_SIGN_IN_BY=${by} takes addresses that are one user's each: set LATCHKEY_UNIQUE_EMAIL=on`
    t.is(t.throws(() => readConfig({ LATCHKEY_SIGN_IN_BY: by, LATCHKEY_UNIQUE_EMAIL: 'off' }))?.message, problem)
    const storage = await openTestStorage(t)
    const config = readConfig({ LATCHKEY_SIGN_IN_BY: by })
    await settleUniqueEmail(storage, config)
    await storage.setUniqueEmails(false)
    t.is((await t.throwsAsync(settleUniqueEmail(storage, config), { instanceOf: ConfigError }))?.message, problem)
    await settleUniqueEmail(storage, readConfig({ LATCHKEY_SIGN_IN_BY: by, LATCHKEY_UNIQUE_EMAIL: 'on' }))
    t.true(await storage.hasUniqueEmails())
  }
  t.is(readConfig({ LATCHKEY_SIGN_IN_BY: 'username', LATCHKEY_UNIQUE_EMAIL: 'off' }).oauth.signInBy, 'username')
  t.regex(t.throws(() => readConfig({ LATCHKEY_SIGN_IN_BY: 'phone' }))!.message, /takes username, email, both$/)
})

test('in a new database commands refuse an address that is taken, by its code; where it may be shared they take it', async t => {
  const environment = migratedDeployment(createFolder(t))
  t.is((await add(environment, 'alice', 'alice@example.com')).code, 0)
  const refused = await add(environment, 'bob', 'ALICE@example.com')
  t.is(refused.code, 1)
  t.deepEqual(JSON.parse(refused.stdout), {
    error: 'email_taken',
    error_description: 'the address ALICE@example.com is taken',
  })
  t.is((await add(environment, 'bob', 'bob@example.com')).code, 0)
  const update = ['user', 'update', 'bob', '--email', 'alice@example.com']
  t.is((await runCommand(update, environment)).stderr, 'latchkey: the address alice@example.com is taken\n')

  // A command alone changes nothing of the rule; who makes and changes databases does.
  const off = { ...environment, LATCHKEY_UNIQUE_EMAIL: 'off' }
  t.is((await runCommand(update, off)).code, 1)
  t.is((await runCommand(['migrate'], off)).code, 0)
  t.is((await runCommand(update, environment)).code, 0)
})

test('an import names each line whose address is taken, and imports nothing', async t => {
  const environment = migratedDeployment(createFolder(t))
  await add(environment, 'alice', 'alice@example.com')
  const file = join(createFolder(t), 'users.csv')
  writeFileSync(
    file,
    'username,email\nbob,bob@example.com\ncarol,Alice@example.com\ndave,BOB@example.com\nalice@example.com,\n',
  )
  const { code, stderr } = await runCommand(['user', 'import', file], environment)
  t.is(code, 1)
  t.deepEqual(stderr.trimEnd().split('\n'), [
    'latchkey: nothing was imported:',
    'latchkey: line 3: email: is taken, by a user who exists or one before in the file',
    'latchkey: line 4: email: is taken, by a user who exists or one before in the file',
    'latchkey: line 5: username: is taken, by a user who exists or one before in the file',
  ])
  const dry = await runCommand(['user', 'import', file, '--dry-run', '--json'], environment)
  t.like(JSON.parse(dry.stdout), { importable: 1, problems: { length: 3 } })
})

test("a start and a migration that find shared addresses say so in one line and end with 78; changed, they are one user's", async t => {
  const environment = oldDeployment(t)
  for (const [name, email] of [
    ['alice', 'alice@example.com'],
    ['bob', 'ALICE@example.com'],
  ] as const)
    t.is((await add(environment, name, email)).code, 0)
  const on = { ...environment, LATCHKEY_UNIQUE_EMAIL: 'on' }
  for (const command of ['serve', 'migrate']) {
    const { code, stderr } = await runCli([command], on)
    t.is(code, 78, command)
    t.is(
      stderr,
      "latchkey: LATCHKEY_UNIQUE_EMAIL=on cannot be: one address is more than one user's; latchkey doctor says whose, and latchkey user update changes them\n",
    )
  }
  t.is((await add(environment, 'carol', 'alice@example.com')).code, 0, 'nothing has changed')

  for (const name of ['bob', 'carol'])
    t.is((await runCommand(['user', 'update', name, '--email', ''], environment)).code, 0)
  const server = await startProcess(t, on)
  t.true(server.log.some(({ msg, uniqueEmail }) => /LATCHKEY_UNIQUE_EMAIL/.test(String(msg)) && uniqueEmail === true))
  t.is((await add(environment, 'bob', 'alice@example.com')).code, 1)
  t.is(await server.stop(), 0)
  // The next start has nothing to say of it.
  const next = await startProcess(t, on)
  t.false(next.log.some(({ msg }) => /LATCHKEY_UNIQUE_EMAIL/.test(String(msg))))
  await next.stop()
})

test('the first start of a new database begins with unique addresses, and without where the setting says so', async t => {
  for (const [extra, code] of [
    [{}, 1],
    [{ LATCHKEY_UNIQUE_EMAIL: 'off' }, 0],
  ] as const) {
    const environment = deployment(createFolder(t), extra)
    const server = await startProcess(t, environment)
    await add(environment, 'alice', 'alice@example.com')
    t.is((await add(environment, 'bob', 'alice@example.com')).code, code)
    await server.stop()
  }
})
