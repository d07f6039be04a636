/** `latchkey migrate-to`: from a SQLite file to a PostgreSQL, and back. */
import { resolve } from 'node:path'
import { Command } from 'commander'
import { actorEvent } from '../admin/deps.ts'
import { type Config, readConfig, readEnvironment } from '../config.ts'
import type { MoveReport } from '../storage/move.ts'
import { moveDatabase } from '../storage/open.ts'
import { type DatabaseSetting, databaseProblem, formatDatabase, parseDatabase } from '../storage/setting.ts'
import { now, randomBytes } from '../system.ts'
import { formatTime, operator, output, table, UsageError } from './run.ts'

export function migrateToCommand(): Command {
  return new Command('migrate-to')
    .argument(
      '<url>',
      'an empty database: postgres://USER@HOST/DATABASE, or file:PATH; the password from PGPASSWORD or .pgpass',
    )
    .description(
      'move everything from SQLite to PostgreSQL or back; nobody is signed out, and the old database is used no more',
    )
    .option('--json', 'print one JSON document')
    .action(async (text: string, options: { json?: true }) => {
      const environment = readEnvironment()
      const config = readConfig(environment)
      const target = readTarget(text, environment, config.database)
      const [from, to] = [formatDatabase(config.database), formatDatabase(target)]
      const event = actorEvent(operator(), 'database.moved', now(), { detail: `from ${from}` })
      const report = await moveDatabase(config.database, target, randomBytes(16).toString('base64url'), event)
      output(options, documentOf(from, to, report), textOf(from, to, config, report))
    })
}

function readTarget(
  text: string,
  environment: ReturnType<typeof readEnvironment>,
  source: DatabaseSetting,
): DatabaseSetting {
  const target = parseDatabase(text, environment)
  if (target === undefined) {
    const why = databaseProblem(text, environment)
    throw new UsageError(
      `migrate-to takes postgres://USER@HOST/DATABASE or file:PATH${why === undefined ? '' : `; ${why}`}`,
    )
  }
  if (target.kind !== source.kind) return target
  throw new UsageError(
    `migrate-to moves from SQLite to PostgreSQL or back, and LATCHKEY_DATABASE_URL, which names what is moved, is ${formatDatabase(source)}`,
  )
}

function documentOf(from: string, to: string, { move, tables, replaced, leftOut }: MoveReport) {
  return { from, to, moved_at: move.at, tables, replaced_texts: replaced, left_out_users: leftOut }
}

function textOf(from: string, to: string, { secret }: Config, { move, tables, replaced, leftOut }: MoveReport): string {
  const rows = tables.map(({ table: name, rows, digest }) => [name, rows, digest])
  const notes = [
    `everything has moved from ${from} to ${to} (${formatTime(move.at)}); nothing uses the old one any more`,
    ...(replaced > 0 ? [`${replaced} texts had a character that PostgreSQL cannot hold: it is U+FFFD there`] : []),
    ...(leftOut > 0 ? [`${leftOut} users of an import that was not whole were left out: import them again`] : []),
    `set LATCHKEY_DATABASE_URL to ${to}, with the parameters that you gave${secret.kind === 'beside_database' ? `, and LATCHKEY_SECRET_FILE to ${resolve(secret.path)}` : ''}; the master secret and all other settings stay`,
  ]
  return [...(rows.length > 0 ? [table(['TABLE', 'ROWS', 'SHA-256'], rows)] : []), ...notes].join('\n')
}
