/** What the peers share: a database with the durability that is asked for, and how a program says that it is ready. */
import Database from 'better-sqlite3'
import pg from 'pg'

/** A file, or the URL of a database of PostgreSQL. */
const [file, synchronous = 'FULL'] = process.argv.slice(2)

export const isPostgres = file.startsWith('postgres:')

export const clientId = 'phone'
export const sessions = 256

/** In WAL mode, as their users would have it. */
export function openDatabase(schema) {
  const database = new Database(file)
  database.pragma('journal_mode = WAL')
  database.pragma(`synchronous = ${synchronous}`)
  database.exec(schema)
  return database
}

/** With the settings that `pg` comes with. */
export async function openPool(schema) {
  const pool = new pg.Pool({ connectionString: file })
  await pool.query(schema)
  return pool
}

/** Tells the parent where the server listens and which refresh tokens there are. */
export function announce(server, tokens) {
  server.keepAliveTimeout = 75_000
  process.send?.({ port: server.address().port, tokens })
  process.once('SIGTERM', () => process.exit(0))
}
