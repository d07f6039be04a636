/** Moving all that a database holds, row by row. What a crash leaves is in test/slow/move_crashes.test.ts. */
import { join } from 'node:path'
import test from 'ava'
import Database from 'better-sqlite3'
import { auditEvent } from '../../src/audit/audit.ts'
import { type MoveReport, maxRows } from '../../src/storage/move.ts'
import { tableShapes } from '../../src/storage/move_tables.ts'
import { moveDatabase } from '../../src/storage/open.ts'
import { type DatabaseUrl, parseDatabaseUrl } from '../../src/storage/postgres/url.ts'
import { openSqliteTarget } from '../../src/storage/sqlite/move_end.ts'
import { emptyDatabase } from '../_postgres.ts'
import { createFolder } from '../_process.ts'

const at = 1_800_000_000

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
            if (column === 'user_id' || column === 'client_id') return needed.has(column) ? unique : null
            if (numeric.has(column)) {
              if (column === 'id') return 3 * i + 1
              return column === 'credential_version' ? i : numbers[(i + at) % numbers.length]
            }
            if (key.includes(column) || ['username_key', 'verified_email_key', 'handle'].includes(column)) return unique
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
  const [from, to] = [join(createFolder(t), 'from.db'), join(createFolder(t), 'to.db')]
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
