/** `latchkey`: the operator's tool. Exit codes: 0 done, 1 failed, 2 usage, 78 settings. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { auditCommand } from './cli/audit.ts'
import { backupCommand } from './cli/backup.ts'
import { breachedCommand } from './cli/breached.ts'
import { clientCommand } from './cli/client.ts'
import { completionCommand } from './cli/completion.ts'
import { doctorCommand } from './cli/doctor.ts'
import { exitCodeOf, failureDocument } from './cli/failure.ts'
import { keyCommand } from './cli/key.ts'
import { mailCommand } from './cli/mail.ts'
import { migrateToCommand } from './cli/migrate_to.ts'
import { insistOnUtf8, OutputError, output, print, takeHasPrinted, UsageError } from './cli/run.ts'
import { secretCommand } from './cli/secret.ts'
import { sessionCommand } from './cli/session.ts'
import { userCommand } from './cli/user.ts'
import { webhookCommand } from './cli/webhook.ts'
import { readConfig, readEnvironment } from './config.ts'
import { formatJson, printable, printableBrief, printableLines } from './printable.ts'
import { openStorage } from './storage/open.ts'
import { formatDatabase } from './storage/setting.ts'
import { settleUniqueEmail } from './unique_email.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

const operands = process.argv.indexOf('--')
/** Also of a command line that commander cannot read. */
const wantsJson = process.argv.slice(2, operands === -1 ? undefined : operands).includes('--json')

let isServing = false
// Whatever ends npm or the shell between, few of them hand it on: the server would keep port and database as an orphan.
const { npm_command, npm_lifecycle_event, npm_package_name } = process.env
const isOfNpm = npm_command === 'exec' || npm_lifecycle_event === 'start' || npm_package_name === 'latchkey'
const parent = process.ppid

const program = new Command('latchkey')
  .description('OAuth 2 authorization server')
  .version(version)
  .helpCommand(false)
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
    const config = readConfig(readEnvironment())
    const { database } = config
    const { storage, migrated, copy } = await openStorage(database, { migrates: true })
    try {
      await settleUniqueEmail(storage, config)
    } finally {
      await storage.close()
    }
    const place = formatDatabase(database)
    const kept = copy === undefined ? '' : `; ${copy} is the database from before`
    output(
      options,
      { database: place, migrated, copy: copy ?? null },
      `${printable(place)}: ${migrated === 0 ? 'up to date' : `${migrated} migrations applied${printable(kept)}`}`,
    )
  })

const commands = [
  userCommand(),
  clientCommand(),
  sessionCommand(),
  keyCommand(),
  secretCommand(),
  auditCommand(),
  webhookCommand(),
  mailCommand(),
  breachedCommand(),
]
const others = [migrateToCommand(), backupCommand(), doctorCommand(), completionCommand(() => program)]
for (const command of [...commands, ...others]) program.addCommand(command)
program
  .command('help')
  .argument('[command...]')
  .description('show the help of a command, such as user add')
  .action((words: string[]) => findCommand(words).outputHelp())
throwInsteadOfExit(program)
takeHasPrinted()

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
  process.exitCode = exitCodeOf(error)
  if (process.exitCode !== 0) tellFailure(error)
}
// What still waits for a reader of stdout or stderr must not keep a server that has ended. A pipe that is read has taken it by now.
if (isServing) setImmediate(() => process.exit())

function findCommand(words: readonly string[]): Command {
  return words.reduce<Command>((command, word) => {
    const child = command.commands.find(one => one.name() === word)
    if (child === undefined)
      throw new UsageError(`there is no command ${printableBrief(words.join(' '))}; latchkey --help lists them`)
    return child
  }, program)
}

/** And prints as everything else is printed. */
function throwInsteadOfExit(command: Command): void {
  // It quotes what it does not understand.
  const writeErr = (text: string) => {
    if (!wantsJson) process.stderr.write(printableLines(text))
  }
  command.exitOverride().configureOutput({ writeOut: print, writeErr })
  for (const child of command.commands) throwInsteadOfExit(child)
}

/** One document on stdout, where a script looks for it, unless a part of another one is there already. */
function tellFailure(error: unknown): void {
  if (wantsJson && !takeHasPrinted() && !(error instanceof OutputError))
    print(`${formatJson(failureDocument(error))}\n`)
  // commander has shown its own message already.
  else if (wantsJson || !(error instanceof CommanderError)) process.stderr.write(`${printableLines(explain(error))}\n`)
}

function explain(error: unknown): string {
  const isDebug = process.env.LATCHKEY_LOG_LEVEL === 'debug'
  const text = error instanceof Error ? (isDebug && error.stack) || error.message : String(error)
  return text.replace(/^/gm, 'latchkey: ')
}
