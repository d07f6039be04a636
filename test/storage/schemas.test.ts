/** The two schemas: rows of the same types under the same names, so that both dialects share what is made of them. */
import test from 'ava'
import { getTableColumns, getTableName, type Table } from 'drizzle-orm'
import * as postgres from '../../src/storage/postgres/schema.ts'
import * as sqlite from '../../src/storage/sqlite/schema.ts'
import { databases } from '../_databases.ts'

/** What only SQLite has, for imports in batches. */
type Own = { users: 'importId' }
type Shared = Exclude<keyof typeof sqlite, 'pendingImports'>
type SqliteRow<Name extends Shared> = Omit<
  (typeof sqlite)[Name]['$inferSelect'],
  Name extends keyof Own ? Own[Name] : never
>
type PostgresRow<Name extends keyof typeof postgres> = (typeof postgres)[Name]['$inferSelect']
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Flat, because an intersection is not the same as the record of its members. */
type Flat<T> = { [Key in keyof T]: T[Key] }

// The compiler holds each of these to be true.
const sameRows: { [Name in Shared]: Same<Flat<SqliteRow<Name>>, Flat<PostgresRow<Name>>> } = {
  users: true,
  clients: true,
  sessions: true,
  factors: true,
  signingKeys: true,
  masterSecrets: true,
  consumedIds: true,
  keptAnswers: true,
  attemptCounters: true,
  knownNetworks: true,
  webhooks: true,
  leases: true,
  mails: true,
  reservedUsernames: true,
  trailReaders: true,
  lastStart: true,
  relaxedRules: true,
  moves: true,
  auditEvents: true,
}

const describe = (schema: Readonly<Record<string, Table>>) =>
  Object.entries(schema).map(([member, table]) => ({
    member,
    table: getTableName(table),
    columns: Object.entries(getTableColumns(table)).map(([property, { name, notNull, primary }]) => ({
      property,
      name,
      notNull,
      primary,
    })),
  }))

test('both dialects have the same tables, columns, keys and nullability', t => {
  const shared = describe(sqlite)
    .filter(({ member }) => member !== 'pendingImports')
    .map(({ columns, ...table }) => ({ ...table, columns: columns.filter(({ property }) => property !== 'importId') }))
  t.deepEqual(describe(postgres), shared)
  t.deepEqual(Object.keys(sameRows).toSorted(), Object.keys(postgres).toSorted())
  t.true(shared.every(({ columns }) => columns.length > 0))
})

test('the migrations make the tables of the schemas: every column and whether it may be null', async t => {
  for (const [dialect, schema, text] of [
    [
      'sqlite',
      sqlite,
      `SELECT m.name AS "table", c.name AS "column", c."notnull" OR c.pk AS not_null
      FROM sqlite_schema AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'`,
    ],
    [
      'postgres',
      postgres,
      `SELECT table_name AS "table", column_name AS "column", is_nullable = 'NO' AS not_null
      FROM information_schema.columns WHERE table_schema = 'public'`,
    ],
  ] as const) {
    const database = await databases[dialect](t)
    const found = (await database.query(text)).map(row => [row.table, row.column, Boolean(row.not_null)].join(' '))
    for (const table of Object.values<Table>(schema))
      for (const { name, notNull, primary } of Object.values(getTableColumns(table)))
        t.true(found.includes(`${getTableName(table)} ${name} ${notNull || primary}`), `${dialect} ${name}`)
  }
})

test('PostgreSQL puts every text of an index in the order of its bytes, whatever the language of the database', async t => {
  const { query } = await databases.postgres(t)
  const collations = await query(`SELECT DISTINCT coll.collname AS name
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid, unnest(i.indcollation::oid[]) AS used (id)
      JOIN pg_collation coll ON coll.oid = used.id
    WHERE c.relnamespace = 'public'::regnamespace`)
  t.deepEqual(collations, [{ name: 'C' }])
})
