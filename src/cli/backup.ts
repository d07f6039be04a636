/** `latchkey backup`: a copy of the database, beside a running server. */
import { Command } from 'commander'
import { actorEvent } from '../admin/deps.ts'
import { readConfig, readEnvironment } from '../config.ts'
import { printable } from '../printable.ts'
import { openStorage } from '../storage/open.ts'
import { now } from '../system.ts'
import { operator, output } from './run.ts'

export function backupCommand(): Command {
  return new Command('backup')
    .argument('<file>')
    .description(
      'copy the database into a new file, whole and checked, while the server runs; keep the master secret too',
    )
    .option('--json', 'print one JSON document')
    .action(async (file: string, options: { json?: true }) => {
      const { database } = readConfig(readEnvironment())
      const { backupSqlite } = await import('../storage/sqlite/file.ts')
      const bytes = await backupSqlite(database.path, file)
      const { storage } = await openStorage(database)
      try {
        await storage.addAuditEvents([actorEvent(operator(), 'backup.created', now(), { detail: file })])
      } finally {
        await storage.close()
      }
      output(
        options,
        { file, bytes },
        `wrote ${printable(file)}, ${(bytes / 1e6).toFixed(1)} MB. It is of no use without the master secret, which is not in it`,
      )
    })
}
