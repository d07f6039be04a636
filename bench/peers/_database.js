/** What the peers share: a database with the durability that is asked for, and how a program says that it is ready. */
import Database from 'better-sqlite3'

const [file, synchronous = 'FULL'] = process.argv.slice(2)

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

/** Tells the parent where the server listens and which refresh tokens there are. */
export function announce(server, tokens) {
  server.keepAliveTimeout = 75_000
  process.send?.({ port: server.address().port, tokens })
  process.once('SIGTERM', () => process.exit(0))
}
