/** `latchkey backup`: a copy of the database, beside a running server. */
import { resolve } from 'node:path'
import { Command } from 'commander'
import { actorEvent } from '../admin/deps.ts'
import { readConfig, readEnvironment } from '../config.ts'
import { printable } from '../printable.ts'
import { openStorage } from '../storage/open.ts'
import { formatDatabaseUrl } from '../storage/postgres/url.ts'
import { now } from '../system.ts'
import { operator, output, UsageError } from './run.ts'

export function backupCommand(): Command {
  return new Command('backup')
    .argument('<file>')
    .description(
      'copy the SQLite file into a new one, whole and checked, while the server runs; keep the master secret too',
    )
    .option('--json', 'print one JSON document')
    .action(async (file: string, options: { json?: true }) => {
      const { database } = readConfig(readEnvironment())
      if (database.kind === 'postgres') throw new UsageError(useTools(formatDatabaseUrl(database.url)))
      const { backupSqlite, insistOnVersion } = await import('../storage/sqlite/file.ts')
      insistOnVersion(database.path)
      const [from, to] = [resolve(database.path), resolve(file)]
      const bytes = await backupSqlite(from, to)
      const { storage } = await openStorage(database, { migrates: false })
      try {
        await storage.addAuditEvents([actorEvent(operator(), 'backup.created', now(), { detail: to })])
      } finally {
        await storage.close()
      }
      output(
        options,
        { database: from, file: to, bytes },
        `copied ${printable(from)} to ${printable(to)}, ${(bytes / 1e6).toFixed(1)} MB. It is of no use without the master secret, which is not in it`,
      )
    })
}

/** @param place of a PostgreSQL, without a password */
function useTools(place: string): string {
  return [
    `the database is ${place}, and backups of it are PostgreSQL's own: pg_dump for the state of one moment, or pg_basebackup with an archive of its log for that of any moment`,
    'a restore is the state of its time: it signs nobody out, and whoever signed out since is signed in again until latchkey session revoke --all',
    'it is of no use without the master secret, which is not in it',
  ].join('\n')
}
