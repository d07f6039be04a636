/** What a server has to be, so that what was answered is not lost and texts stay what they are: asked of every new connection. */
import pg, { type ClientBase } from 'pg'

export type ServerCheck = Readonly<{
  check: string
  found: string
  /** In words that go on after `it`; undefined when all is well. */
  problem?: string
}>

type Settings = Readonly<{
  version: number
  versionText: string
  encoding: string
  inRecovery: boolean
  readOnly: string
  fsync: string
  synchronousCommit: string
}>

/** The first version that is still maintained and has everything that is used: 14. */
const minVersion = 140_000

const question = `SELECT current_setting('server_version_num')::integer, current_setting('server_version'),
  current_setting('server_encoding'), pg_is_in_recovery(), current_setting('transaction_read_only'),
  current_setting('fsync'), current_setting('synchronous_commit')`

/** @param maxTime milliseconds */
export async function checkServer(client: ClientBase, maxTime: number): Promise<ServerCheck[]> {
  const query = { text: question, rowMode: 'array' as const, query_timeout: maxTime }
  const { rows } = await client.query<unknown[]>(query)
  const [version, versionText, encoding, inRecovery, readOnly, fsync, synchronousCommit] = rows[0]!
  return judge({ version, versionText, encoding, inRecovery, readOnly, fsync, synchronousCommit } as Settings)
}

function judge(settings: Settings): ServerCheck[] {
  const { version, versionText, encoding, inRecovery, readOnly, fsync, synchronousCommit } = settings
  const check = (name: string, found: string, problem: string | false): ServerCheck =>
    problem === false ? { check: name, found } : { check: name, found, problem }
  return [
    check('version', versionText, version < minVersion && `is PostgreSQL ${versionText}, and has to be 14 or newer`),
    check(
      'takes writes',
      inRecovery ? 'a standby' : readOnly === 'on' ? 'read-only' : 'yes',
      inRecovery
        ? 'is a standby, which takes no writes'
        : readOnly === 'on' && 'takes no writes: default_transaction_read_only is on',
    ),
    check('encoding', encoding, encoding !== 'UTF8' && `has the encoding ${encoding}, and has to have UTF8`),
    check('fsync', fsync, fsync !== 'on' && 'has fsync off: a power cut would destroy it'),
    check(
      'synchronous_commit',
      synchronousCommit,
      ['off', 'local'].includes(synchronousCommit) &&
        `has synchronous_commit ${synchronousCommit}: what was answered could be lost`,
    ),
  ]
}

/** Which copy of a database a server has: of two with the same `system`, the one with the later timeline was promoted when the other was lost. */
export type Lineage = Readonly<{ system: string; timeline: number }>

/** @returns undefined where the server does not say, as some that are rented do not */
export async function lineageOf(client: ClientBase, maxTime: number): Promise<Lineage | undefined> {
  const text = `SELECT system_identifier::text AS system, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline
    FROM pg_control_system()`
  try {
    const query = { text, query_timeout: maxTime }
    const { rows } = await client.query<{ system: string; timeline: string }>(query)
    return { system: rows[0]!.system, timeline: Number.parseInt(rows[0]!.timeline, 16) }
  } catch (error) {
    if (error instanceof pg.DatabaseError) return undefined
    throw error
  }
}
