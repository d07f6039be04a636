/** Moving all that a database holds, and what is left of it when the process ends in the middle. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import Database from 'better-sqlite3'
import { auditEvent } from '../../src/audit/audit.ts'
import { createClient } from '../../src/clients/client.ts'
import { type MoveEnd, type MovingDatabase, move } from '../../src/storage/move.ts'
import { DatabaseMoved } from '../../src/storage/moved.ts'
import { openStorage } from '../../src/storage/open.ts'
import { openPostgresSource, openPostgresTarget } from '../../src/storage/postgres/move_end.ts'
import { type DatabaseUrl, parseDatabaseUrl } from '../../src/storage/postgres/url.ts'
import type { DatabaseSetting } from '../../src/storage/setting.ts'
import { openSqliteSource, openSqliteTarget } from '../../src/storage/sqlite/move_end.ts'
import { emptyDatabase } from '../_postgres.ts'
import { createFolder, deployment, type Environment, launcher, runCommand } from '../_process.ts'

const at = 1_800_000_000
const everybody = ['alice', 'bob', 'Zoë']

async function fill(database: DatabaseSetting) {
  const { storage } = await openStorage(database, { migrates: true })
  const client = createClient({ id: 'app', grantTypes: ['password', 'refresh_token'], scope: 'read', createdAt: at })
  await storage.createClient(client, auditEvent('client.created', at, {}))
  for (const name of everybody) {
    const user = { id: `usr_${name}`, username: name, passwordHash: 'hash', credentialVersion: 1, createdAt: at }
    await storage.createUsers([user], auditEvent('user.created', at, {}))
  }
  await storage.close()
}

/** What a program that opens it finds. */
async function usersOf(database: DatabaseSetting): Promise<string[] | 'refused'> {
  try {
    const { storage } = await openStorage(database, { migrates: true })
    const users = await storage.listUsers()
    await storage.close()
    return users.map(({ username }) => username)
  } catch (error) {
    if (error instanceof DatabaseMoved) return 'refused'
    throw error
  }
}

class Crash extends Error {}

/** The process ends before the call of this number, or, a commit being a call of its own, right after it. */
function crashing(end: MoveEnd, count: { left: number }): MoveEnd {
  const step = () => {
    if (count.left-- === 0) throw new Crash()
  }
  const wrap = (database: MovingDatabase): MovingDatabase =>
    Object.fromEntries(
      Object.entries(database).map(([name, run]) => [
        name,
        (...args: unknown[]) => {
          step()
          return (run as (...args: unknown[]) => unknown)(...args)
        },
      ]),
    ) as MovingDatabase
  return {
    ...end,
    async alone(run) {
      step()
      const result = await end.alone(async database => {
        const inner = await run(wrap(database))
        step()
        return inner
      })
      step()
      return result
    },
  }
}

/** @param crash the number of the step before which the process ends @returns whether it came to its end before that */
async function moveOrCrash(
  from: DatabaseSetting,
  to: DatabaseSetting,
  crash = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  const count = { left: crash }
  const source = await (from.kind === 'file' ? openSqliteSource(from.path) : openPostgresSource(from.url))
  const target = await (to.kind === 'file' ? openSqliteTarget(to.path) : openPostgresTarget(to.url))
  try {
    await move(crashing(source, count), crashing(target, count), randomUUID(), auditEvent('database.moved', at, {}))
    return true
  } catch (error) {
    if (error instanceof Crash || (error as Error).cause instanceof Crash) return false
    throw error
  } finally {
    await source.close()
    await target.close()
  }
}

/** No database yet, or one without tables. */
const nothingYet = {
  sqlite: async (t: ExecutionContext): Promise<DatabaseSetting> => ({
    kind: 'file',
    path: join(createFolder(t), 'latchkey.db'),
  }),
  postgres: async (t: ExecutionContext): Promise<DatabaseSetting> => ({
    kind: 'postgres',
    url: parseDatabaseUrl(await emptyDatabase(t), {}) as DatabaseUrl,
  }),
}

const directions = [
  ['sqlite', 'postgres'],
  ['postgres', 'sqlite'],
] as const

for (const [source, target] of directions) {
  test(`from ${source} to ${target}: after a crash at any step one database has everything, at most one is used, and the same move ends well`, async t => {
    let isWhole = false
    let crashes = 0
    for (let step = 0; !isWhole; step++) {
      const [from, to] = [await nothingYet[source](t), await nothingYet[target](t)]
      await fill(from)
      isWhole = await moveOrCrash(from, to, step)
      if (!isWhole) crashes++

      const [there, here] = [await usersOf(from), await usersOf(to)]
      const where = `crash ${step}: ${there} / ${here}`
      if (there === 'refused') t.true(here === 'refused' || here.length === 3, where)
      else {
        t.deepEqual(there, everybody, where)
        t.true(here === 'refused' || here.length === 0, where)
      }
      t.true(await moveOrCrash(from, to))
      t.is(await usersOf(from), 'refused', where)
      t.deepEqual(await usersOf(to), everybody, where)
    }
    t.true(crashes > 50, `${crashes}`)
  })
}

test.serial(
  'kill -9 of latchkey migrate-to at any moment leaves the source in use or all in the target, and it ends well when it is run again',
  async t => {
    const folder = createFolder(t)
    const url = await emptyDatabase(t)
    const environment = deployment(folder, { LATCHKEY_BOOTSTRAP: 'off' })
    const onPostgres = {
      ...environment,
      LATCHKEY_DATABASE_URL: url,
      LATCHKEY_SECRET: Buffer.alloc(32, 's').toString('base64url'),
    }
    await runCommand(['migrate'], environment)
    const database = new Database(join(folder, 'data/latchkey.db'))
    database.exec(
      `WITH RECURSIVE ids(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM ids WHERE i < 30000)
     INSERT INTO users (id, username, username_key, password_hash, credential_version, created_at)
       SELECT 'usr_' || i, 'user' || i, 'user' || i, '', 1, 1 FROM ids`,
    )
    database.close()
    const count = async (where: Environment) => {
      const { code, stdout, stderr } = await runCommand(['user', 'list', '--json'], where)
      if (code === 0) return JSON.parse(stdout).length
      if (code === 78 || stdout.includes('has not all tables')) return 0
      throw new Error(stdout + stderr)
    }
    let isDone = false
    for (let wait = 300; !isDone; wait += 300) {
      const child = spawn(process.execPath, [launcher, 'migrate-to', url], { env: environment, stdio: 'ignore' })
      const ended = once(child, 'exit')
      const timer = setTimeout(() => child.kill('SIGKILL'), wait)
      const [code] = await ended
      clearTimeout(timer)
      isDone = code === 0
      const [there, here] = [await count(environment), await count(onPostgres)]
      if (isDone) t.deepEqual([there, here], [0, 30_000])
      else
        t.true(
          [there, here].every(users => users === 0 || users === 30_000) && there + here <= 30_000,
          `${there} ${here}`,
        )
      if (!isDone && there === 0 && here === 0) t.is((await runCommand(['migrate-to', url], environment)).code, 0)
      if (!isDone && there === 0) isDone = true
    }
    t.deepEqual([await count(environment), await count(onPostgres)], [0, 30_000])
  },
)
