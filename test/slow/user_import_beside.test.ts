/** A large import beside a running server: refreshes and sign-ins go on, all or nothing, also when it is killed (promises 5 and 8). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import bcrypt from 'bcrypt'
import Database from 'better-sqlite3'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import { createFolder, launcher, migratedDeployment, postForm, root, runCommand, startProcess } from '../_process.ts'

const password = 'a good password'
const hashed_password = bcrypt.hashSync(password, 4)

/** A running server with the user alice, and a file of other users. */
async function prepare(t: ExecutionContext, count: number) {
  const folder = createFolder(t)
  const environment = migratedDeployment(folder, { LATCHKEY_THROTTLE: 'off' })
  const file = join(folder, 'users')
  const lines = Array.from({ length: count }, (_, i) => JSON.stringify({ username: `user${i}`, hashed_password }))
  writeFileSync(file, lines.join('\n'))
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password', '--grant', 'refresh_token'], environment)
  await runCommand(['user', 'add', 'alice', '--password-stdin'], environment, password)
  const { url } = await startProcess(t, environment)
  const database = join(folder, 'data/latchkey.db')
  return {
    environment,
    database,
    token: (params: Record<string, string>) => postForm(`${url}/token`, { client_id: 'app', ...params }),
    signIn: (username: string) =>
      postForm(`${url}/token`, { client_id: 'app', grant_type: 'password', username, password }),
    startImport(...options: string[]) {
      const child = spawn(process.execPath, [launcher, 'user', 'import', file, ...options], {
        env: environment,
        cwd: root,
        stdio: 'ignore',
      })
      t.teardown(() => child.kill('SIGKILL'))
      return { child, exit: once(child, 'exit') as Promise<[number | null]> }
    },
    userCount: async () => JSON.parse((await runCommand(['user', 'list', '--json'], environment)).stdout).length,
  }
}

/** @returns how many users are in the table, whether anybody can see them or not */
function rowCount(file: string): number {
  const database = new Database(file, { readonly: true })
  const { rows } = database.prepare('SELECT count(*) AS rows FROM users').get() as { rows: number }
  database.close()
  return rows
}

test.serial(
  'promise 8: refreshes and sign-ins go on beside an import of 60,000 users, who are there all at once',
  async t => {
    const { token, signIn, startImport, userCount } = await prepare(t, 60_000)
    let refreshToken = String((await signIn('alice')).body.refresh_token)
    let isOver = false
    let longest = 0
    const seen = new Set<string>()
    const began = performance.now()
    const { exit } = startImport()
    exit.then(() => {
      isOver = true
    })
    for (let i = 0; !isOver; i++) {
      const asked = performance.now()
      const { status, body } = await token({ grant_type: 'refresh_token', refresh_token: refreshToken })
      longest = Math.max(longest, performance.now() - asked)
      t.is(status, 200)
      refreshToken = String(body.refresh_token)
      if (i % 10 === 0) {
        t.is((await signIn('alice')).status, 200)
        // In this order: whoever is there when the last is not, was there before the others.
        const last = await signIn('user59999')
        const first = await signIn('user0')
        if (last.status === 200) t.is(first.status, 200)
        seen.add(`${first.status} ${last.status}`)
      }
      await setTimeout(5)
    }
    const elapsed = performance.now() - began
    t.deepEqual(await exit.then(([code]) => code), 0)
    t.log(`${Math.round(longest)} ms of ${Math.round(elapsed)} ms`)
    // In one transaction, half of the time is one wait.
    t.true(longest < elapsed / 5)
    t.true([...seen].every(statuses => ['400 400', '200 400', '200 200'].includes(statuses)))
    t.is(await userCount(), 60_001)
    t.is((await signIn('user59999')).status, 200)
  },
)

test.serial('promise 5: an import that is killed leaves nobody, and the same file goes in again', async t => {
  const { environment, database, signIn, startImport, userCount } = await prepare(t, 20_000)
  const { child, exit } = startImport()
  while (rowCount(database) < 2000) await setTimeout(20)
  child.kill('SIGKILL')
  await exit

  t.true(rowCount(database) < 20_001, 'it was not over yet')
  t.is(await userCount(), 1)
  t.is((await signIn('user0')).status, 400)
  const audit = () => runCommand(['audit', '--type', 'user.created', '--json'], environment)
  t.false((await audit()).stdout.includes('import'))
  // Its names are free.
  await runCommand(['user', 'add', 'user7', '--password-stdin'], environment, password)
  t.is((await signIn('user7')).status, 200)
  await runCommand(['user', 'remove', 'user7'], environment)

  // The name that was given up just now is kept for who had it, unless the operator says otherwise.
  t.is((await startImport().exit)[0], 1)
  t.is((await startImport('--take-reserved').exit)[0], 0)
  t.is(await userCount(), 20_001)
  t.true((await audit()).stdout.includes('"count":20000'))

  // What the upkeep does when a minute has gone by.
  const { storage } = openSqliteStorage(database)
  while (await storage.pruneImports(Math.floor(Date.now() / 1000) + 1)) {}
  await storage.close()
  t.is(rowCount(database), 20_001)
})

test.serial('what a killed import left is removed in steps, and nobody else', async t => {
  const { database, startImport, userCount } = await prepare(t, 20_000)
  const { child, exit } = startImport()
  while (rowCount(database) < 2000) await setTimeout(20)
  child.kill('SIGKILL')
  await exit

  const { storage } = openSqliteStorage(database)
  t.false(await storage.pruneImports(0), 'it may be alive')
  const [before, steps] = [rowCount(database), [] as number[]]
  while (await storage.pruneImports(Math.floor(Date.now() / 1000) + 1)) steps.push(rowCount(database))
  await storage.close()
  t.true(steps.length > 2 && before - (steps[0] ?? 0) <= 500)
  t.is(rowCount(database), 1)
  t.is(await userCount(), 1)
})
