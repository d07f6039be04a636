/** `latchkey`: the operator's tool. Exit codes: 0 done, 1 failed, 2 usage, 78 settings. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { auditCommand } from './cli/audit.ts'
import { backupCommand } from './cli/backup.ts'
import { clientCommand } from './cli/client.ts'
import { doctorCommand } from './cli/doctor.ts'
import { keyCommand } from './cli/key.ts'
import { migrateToCommand } from './cli/migrate_to.ts'
import { insistOnUtf8, OutputError, output, print, UsageError } from './cli/run.ts'
import { secretCommand } from './cli/secret.ts'
import { sessionCommand } from './cli/session.ts'
import { userCommand } from './cli/user.ts'
import { ConfigError, readConfig, readEnvironment } from './config.ts'
import { printable, printableLines } from './printable.ts'
import { DatabaseMoved } from './storage/moved.ts'
import { openStorage } from './storage/open.ts'
import { formatDatabase } from './storage/setting.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

let isServing = false
// Whatever ends npm or the shell between, few of them hand it on: the server would keep port and database as an orphan.
const { npm_command, npm_lifecycle_event, npm_package_name } = process.env
const isOfNpm = npm_command === 'exec' || npm_lifecycle_event === 'start' || npm_package_name === 'latchkey'
const parent = process.ppid

const program = new Command('latchkey')
  .description('OAuth 2 authorization server')
  .version(version)
  .showHelpAfterError('(add --help for what is expected)')
  .addHelpText('after', '\nSettings are environment variables, read from .env as well; docs/settings.md lists them.')

program
  .command('serve')
  .description('run the server until SIGTERM, SIGINT or SIGHUP')
  .action(async () => {
    isServing = true
    // The server's own parts are loaded only to serve: the other commands start faster without them.
    const { serve } = await import('./main.ts')
    await serve(readConfig(readEnvironment()), isOfNpm ? () => process.ppid !== parent : undefined)
  })

program
  .command('migrate')
  .description('make the database or bring it up to date, with a copy from before (SQLite); serving does so by itself')
  .option('--json', 'print one JSON document')
  .action(async (options: { json?: true }) => {
    const { database } = readConfig(readEnvironment())
    const { storage, migrated, copy } = await openStorage(database, { migrates: true })
    await storage.close()
    const place = formatDatabase(database)
    const kept = copy === undefined ? '' : `; ${copy} is the database from before`
    output(
      options,
      { database: place, migrated, copy: copy ?? null },
      `${printable(place)}: ${migrated === 0 ? 'up to date' : `${migrated} migrations applied${printable(kept)}`}`,
    )
  })

const commands = [userCommand(), clientCommand(), sessionCommand(), keyCommand(), secretCommand(), auditCommand()]
for (const command of [...commands, migrateToCommand(), backupCommand(), doctorCommand()]) program.addCommand(command)
throwInsteadOfExit(program)

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The server goes on without its log.
  if (isServing) return
  // A reader that has seen enough, such as head: what is left out is no success, and nothing to say a word about.
  if (error.code !== 'EPIPE') process.stderr.write(`${explain(new OutputError(error))}\n`)
  process.exit(1)
})
// There is nowhere left to say it; the exit code tells.
process.stderr.on('error', () => {})

try {
  insistOnUtf8(process.argv.slice(2))
  await program.parseAsync()
} catch (error) {
  process.exitCode = exitCode(error)
  // commander has shown its own message already.
  if (!(error instanceof CommanderError)) process.stderr.write(`${printableLines(explain(error))}\n`)
}
// What still waits for a reader of stdout or stderr must not keep a server that has ended. A pipe that is read has taken it by now.
if (isServing) setImmediate(() => process.exit())

/** And prints as everything else is printed. */
function throwInsteadOfExit(command: Command): void {
  // It quotes what it does not understand.
  const writeErr = (text: string) => process.stderr.write(printableLines(text))
  command.exitOverride().configureOutput({ writeOut: print, writeErr })
  for (const child of command.commands) throwInsteadOfExit(child)
}

function exitCode(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof UsageError) return 2
  if (error instanceof DatabaseMoved) return DatabaseMoved.exitCode
  return error instanceof ConfigError ? ConfigError.exitCode : 1
}

function explain(error: unknown): string {
  const isDebug = ['debug', 'trace'].includes(process.env.LATCHKEY_LOG_LEVEL ?? '')
  const text = error instanceof Error ? (isDebug && error.stack) || error.message : String(error)
  return text.replace(/^/gm, 'latchkey: ')
}
