/** A PostgreSQL as the one or the other end of a move. */
import { type MoveEnd, type MovingDatabase, maxRows } from '../move.ts'
import { type Cell, type TableShape, tableShapes } from '../move_tables.ts'
import { type Move, movedMessage } from '../moved.ts'
import { openDatabase } from './database.ts'
import { isCollision } from './failure.ts'
import { type Lease, openPool, type Pool } from './pool.ts'
import { commit } from './transaction.ts'
import { type DatabaseUrl, formatDatabaseUrl } from './url.ts'

/** Milliseconds that one statement of a move may take, such as the count of a big table. */
const maxStatement = 3_600_000
/** Milliseconds to wait for what servers are writing. Whoever wants to write meanwhile waits behind. */
const maxLockWait = 10_000
/** How often the tables are locked: a server that had one of them and wants another may be in the way. */
const maxTries = 5

/** Operator intervention, but none that says that the server goes down: only this database takes no writes any more. */
const movedState = '57L01'

const tables = tableShapes.map(({ name }) => `"${name}"`)

/** @throws Error in one line: no tables, or those of another version */
export function openPostgresSource(url: DatabaseUrl): Promise<MoveEnd> {
  return openEnd(url, false)
}

/** Makes and changes tables as needed. @throws Error in one line */
export function openPostgresTarget(url: DatabaseUrl): Promise<MoveEnd> {
  return openEnd(url, true)
}

async function openEnd(url: DatabaseUrl, migrates: boolean): Promise<MoveEnd> {
  await (await openDatabase(url, { migrates })).close()
  const pool = await openPool(url)
  return {
    place: formatDatabaseUrl(url),
    holdsNul: false,
    async alone(run) {
      const lease = await begin(pool)
      let result: Awaited<ReturnType<typeof run>>
      try {
        result = await run(createMoving(lease))
      } catch (error) {
        // The end of its connection undoes the transaction.
        lease.release(error)
        throw error
      }
      // A standby may have to write all of it first.
      await commit(lease, maxStatement)
      return result
    },
    close: pool.close,
  }
}

/** A transaction that holds all tables. The order is that of every transaction of a server. */
async function begin(pool: Pool): Promise<Lease> {
  for (let tries = 1; ; tries++) {
    const lease = await pool.lease()
    try {
      await lease.client.query(
        `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = ${maxLockWait};
         SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`,
      )
      for (const table of tables) await run(lease, `LOCK TABLE ${table} IN SHARE ROW EXCLUSIVE MODE`)
      return lease
    } catch (error) {
      lease.release(error)
      if (!isCollision(error) || tries === maxTries) throw error
    }
  }
}

async function run({ client }: Lease, text: string, values: unknown[] = []): Promise<Cell[][]> {
  const query = { text, values, rowMode: 'array' as const, query_timeout: maxStatement }
  return (await client.query<Cell[]>(query)).rows
}

function createMoving(lease: Lease): MovingDatabase {
  return {
    async listMoves() {
      const rows = await run(lease, 'SELECT id, state, place, at FROM moves')
      return rows.map(([id, state, place, at]) => ({ id, state, place, at }) as Move)
    },
    async putMove({ id, state, place, at }) {
      const text =
        'INSERT INTO moves (id, state, place, at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET state = excluded.state'
      await run(lease, text, [id, state, place, at])
    },
    async removeMove(id) {
      await run(lease, 'DELETE FROM moves WHERE id = $1', [id])
    },
    readRows: (table, after = []) => run(lease, selectRows(table, after.length > 0), [...after]),
    async countRows({ name }) {
      const [[count] = []] = await run(lease, `SELECT count(*) FROM "${name}"`)
      return count as number
    },
    async insertRows({ name, columns, numbers }, rows) {
      const lists = columns.map((column, i) => `$${i + 1}::${numbers.has(column) ? 'bigint' : 'text'}[]`)
      const values = columns.map((_, i) => rows.map(row => row[i]))
      await run(lease, `INSERT INTO "${name}" (${quote(columns)}) SELECT * FROM unnest(${lists.join(', ')})`, values)
    },
    async removeRows({ name }) {
      await run(lease, `DELETE FROM "${name}"`)
    },
    async lastEventId() {
      const [[id] = []] = await run(
        lease,
        'SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM audit_events_id_seq',
      )
      return id as number
    },
    async raiseLastEventId(id) {
      await run(
        lease,
        "SELECT setval('audit_events_id_seq', $1::bigint) FROM audit_events_id_seq WHERE $1::bigint > CASE WHEN is_called THEN last_value ELSE 0 END",
        [id],
      )
    },
    async refuseWrites() {
      await run(
        lease,
        `CREATE OR REPLACE FUNCTION latchkey_moved() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION '${movedMessage}' USING ERRCODE = '${movedState}'; END $$`,
      )
      for (const table of tables) {
        await run(
          lease,
          `CREATE TRIGGER moved BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${table}
           FOR EACH STATEMENT EXECUTE FUNCTION latchkey_moved()`,
        )
      }
    },
    async allowWrites() {
      for (const table of tables) await run(lease, `DROP TRIGGER IF EXISTS moved ON ${table}`)
    },
  }
}

function selectRows({ name, columns, key }: TableShape, isAfter: boolean): string {
  const where = isAfter ? `WHERE (${quote(key)}) > (${key.map((_, i) => `$${i + 1}`).join(', ')})` : ''
  return `SELECT ${quote(columns)} FROM "${name}" ${where} ORDER BY ${quote(key)} LIMIT ${maxRows}`
}

function quote(names: readonly string[]): string {
  return names.map(name => `"${name}"`).join(', ')
}
