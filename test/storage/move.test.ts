/** Moving all that a database holds: all or nothing, and after a crash at any moment one database has everything and at most one is used. */
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import Database from 'better-sqlite3'
import { auditEvent } from '../../src/audit/audit.ts'
import { createClient } from '../../src/clients/client.ts'
import { type MoveEnd, type MoveReport, type MovingDatabase, maxRows, move } from '../../src/storage/move.ts'
import { tableShapes } from '../../src/storage/move_tables.ts'
import { DatabaseMoved } from '../../src/storage/moved.ts'
import { moveDatabase } from '../../src/storage/open.ts'
import { type DatabaseUrl, parseDatabaseUrl } from '../../src/storage/postgres/url.ts'
import { openSqliteSource, openSqliteTarget } from '../../src/storage/sqlite/move_end.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import { emptyDatabase } from '../_postgres.ts'
import { createFolder } from '../_process.ts'

const at = 1_800_000_000

async function fill(file: string) {
  const { storage } = openSqliteStorage(file)
  const client = createClient({ id: 'app', grantTypes: ['password', 'refresh_token'], scope: 'read', createdAt: at })
  await storage.createClient(client, auditEvent('client.created', at, {}))
  for (const name of ['alice', 'bob', 'Zoë']) {
    const user = { id: `usr_${name}`, username: name, passwordHash: 'hash', credentialVersion: 1, createdAt: at }
    await storage.createUsers([user], auditEvent('user.created', at, {}))
  }
  await storage.close()
}

/** What a program that opens the file finds. */
async function usersOf(file: string): Promise<string[] | 'refused'> {
  try {
    const { storage } = openSqliteStorage(file)
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

async function moveFiles(from: string, to: string, left = Number.POSITIVE_INFINITY) {
  const count = { left }
  const source = openSqliteSource(from)
  const target = openSqliteTarget(to)
  try {
    return await move(crashing(source, count), crashing(target, count), 'move', auditEvent('database.moved', at, {}))
  } finally {
    await source.close()
    await target.close()
  }
}

function place(t: ExecutionContext) {
  const folder = createFolder(t)
  return { from: join(folder, 'from.db'), to: join(folder, 'to.db') }
}

test('after a crash at any step of a move one database has everything, at most one is used, and the same move ends well', async t => {
  const everybody = ['alice', 'bob', 'Zoë']
  let crashes = 0
  for (let isWhole = false; !isWhole; crashes++) {
    const { from, to } = place(t)
    await fill(from)
    const error = await moveFiles(from, to, crashes).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    isWhole = error === undefined
    if (!isWhole && !(error instanceof Crash) && !((error as Error).cause instanceof Crash)) throw error

    const [source, target] = [await usersOf(from), await usersOf(to)]
    const where = `crash ${crashes}: ${source} / ${target}`
    if (source === 'refused') t.true(target === 'refused' || target.length === 3, where)
    else {
      t.deepEqual(source, everybody, where)
      t.true(target === 'refused' || target.length === 0, where)
    }
    await moveFiles(from, to)
    t.is(await usersOf(from), 'refused', where)
    t.deepEqual(await usersOf(to), everybody, where)
  }
  t.true(crashes > 50, `${crashes}`)
})

/** Texts that two databases might keep, compare or write in different ways, and numbers of more than 32 bits. */
const texts = [
  '',
  'a',
  'Z',
  'é',
  'e\u0301',
  '\ufffd',
  '😀',
  "'",
  '"',
  '\\',
  '{}',
  '{"a",NULL}',
  'NULL',
  '\\x41',
  '\t\n',
  '%s $1 ?',
]
const numbers = [0, -1, 2 ** 31, 4_102_444_800, Number.MAX_SAFE_INTEGER]

/** Rows of every table with these in every column that takes them, in more than one batch. */
function fillEveryTable(file: string) {
  openSqliteTarget(file).close()
  const database = new Database(file)
  const isNotNull = (table: string) =>
    new Set(
      (database.pragma(`table_info("${table}")`) as { name: string; notnull: number }[])
        .filter(({ notnull }) => notnull === 1)
        .map(({ name }) => name),
    )
  database.transaction(() => {
    for (const { name, columns, numbers: numeric, key } of tableShapes) {
      const needed = isNotNull(name)
      const insert = database.prepare(
        `INSERT INTO "${name}" (${columns.map(column => `"${column}"`)}) VALUES (${columns.map(() => '?')})`,
      )
      for (let i = 0; i < 2 * maxRows + 1; i++) {
        const unique = `${texts[i % texts.length]}${i}`
        insert.run(
          columns.map((column, at) => {
            if (column === 'user_id' || column === 'client_id') return name === 'sessions' ? unique : null
            if (numeric.has(column)) {
              if (column === 'id') return 3 * i + 1
              return column === 'credential_version' ? i : numbers[(i + at) % numbers.length]
            }
            if (key.includes(column) || column === 'username_key') return unique
            return !needed.has(column) && (i + at) % 3 === 0 ? null : texts[(i + at) % texts.length]
          }),
        )
      }
    }
  })()
  database.close()
}

function rowsOf(file: string) {
  const database = new Database(file)
  const rows = tableShapes.map(({ name, columns, key }) =>
    database
      .prepare(`SELECT ${columns.map(column => `"${column}"`)} FROM "${name}" ORDER BY ${key}`)
      .raw()
      .all(),
  )
  database.close()
  return rows
}

test('every table goes from SQLite to PostgreSQL and back, row by row, and events keep their ids', async t => {
  const { from, to } = place(t)
  fillEveryTable(from)
  const url = parseDatabaseUrl(await emptyDatabase(t), {}) as DatabaseUrl
  const server = { kind: 'postgres', url } as const
  const event = (detail: string) => auditEvent('database.moved', at, {}, { detail })

  const there = await moveDatabase({ kind: 'file', path: from }, server, 'move-1', event('there'))
  const back = await moveDatabase(server, { kind: 'file', path: to }, 'move-2', event('back'))

  const [before, after] = [rowsOf(from), rowsOf(to)]
  const [eventsBefore, eventsAfter] = [before.pop()!, after.pop()!]
  t.deepEqual(after, before)
  t.deepEqual(eventsAfter.slice(0, eventsBefore.length), eventsBefore)
  const last = 3 * 2 * maxRows + 1
  t.deepEqual(
    eventsAfter.slice(eventsBefore.length).map(row => (row as unknown[])[0]),
    [last + 1, last + 2],
    'the next ids, and none that an event had before',
  )
  const counts = (report: MoveReport) => report.tables.map(({ rows }) => rows)
  t.deepEqual(
    counts(there),
    tableShapes.map(() => 2 * maxRows + 1),
  )
  t.deepEqual(there.tables.slice(0, -1), back.tables.slice(0, -1), 'the same digests')
})
