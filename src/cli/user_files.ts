/** `latchkey user import` and `user export`: what is read from files, and what is said of it. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import type { Command } from 'commander'
import type { ImportReport } from '../admin/user_files.ts'
import { printable, printableBrief } from '../printable.ts'
import type { FirebaseHashConfig } from '../users/user_members.ts'
import { operator, output, print, withAdmin } from './run.ts'

type ImportOptions = {
  ignore: string[]
  firebaseHashConfig?: string
  takeReserved?: true
  dryRun?: true
  json?: true
}

export function addFileCommands(user: Command): void {
  user
    .command('import')
    .description(
      'add users with the password hashes they have, from JSON, JSON lines, CSV or the export of another program; all or none',
    )
    .argument('<file>', 'the file, or - for stdin')
    .option('--ignore <member>', 'read nothing in a member of the file; repeatable', collect, [])
    .option(
      '--firebase-hash-config <file>',
      'the password hash parameters of the Firebase project that the users come from',
    )
    .option('--take-reserved', 'also usernames that are kept for who had them in the last 90 days')
    .option('--dry-run', 'import nothing; report line by line what cannot be imported and why')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nSecond factors are never imported: who is imported has none.')
    .action(importFile)
  user
    .command('export')
    .description('print all users with their password hashes as JSON lines, which import reads; keep them safe')
    .addHelpText('after', '\nSecond factors are not exported: latchkey backup and latchkey migrate-to take them along.')
    .action(printExport)
}

async function importFile(path: string, options: ImportOptions): Promise<void> {
  await withAdmin(async deps => {
    const { importUsers } = await import('../admin/user_files.ts')
    const { ignore, firebaseHashConfig, takeReserved: takesReserved, dryRun = false } = options
    const firebase = firebaseHashConfig === undefined ? undefined : await readHashConfig(firebaseHashConfig)
    const text = await readFile(path)
    const { count, problems, report } = await importUsers(
      deps,
      text,
      { ignore, firebase, takesReserved, dryRun },
      operator(),
    )
    const lines = problems.map(({ place, member, problem }) =>
      [printableBrief(place), member && printableBrief(member), printable(problem)].filter(Boolean).join(': '),
    )
    const notes = describeReport(report)
    if (dryRun) {
      const summary =
        problems.length > 0
          ? `${countUsers(count)} could be imported, but for these:`
          : `${countUsers(count)} can be imported`
      output(options, { importable: count, problems, ...report }, [summary, ...lines, ...notes].join('\n'))
      if (problems.length > 0) process.exitCode = 1
    } else if (problems.length > 0) {
      const more = lines.length > 20 ? [`and ${lines.length - 20} more: --dry-run shows all`] : []
      throw new Error(['nothing was imported:', ...lines.slice(0, 20), ...more].join('\n'))
    } else {
      output(options, { imported: count, ...report }, [`imported ${countUsers(count)}`, ...notes].join('\n'))
    }
  })
}

/** What the operator should know of an import, a line for each; nothing where there is nothing to say. */
function describeReport(report: ImportReport): string[] {
  const lines = [
    report.without_password > 0 && `without a password: ${countUsers(report.without_password)}, see user password`,
    report.disabled > 0 && `disabled: ${countUsers(report.disabled)}`,
    report.weak_hashes > 0 &&
      `with a weak hash, SHA without rounds, until the next sign-in: ${countUsers(report.weak_hashes)}`,
    report.left_out > 0 && `left out, anonymous or a service account: ${report.left_out}`,
    report.ignored.length > 0 &&
      `not imported, since they mean nothing here: ${report.ignored.map(printableBrief).join(', ')}`,
  ]
  return lines.filter(line => line !== false)
}

async function readHashConfig(path: string): Promise<FirebaseHashConfig> {
  const { parseFirebaseHashConfig } = await import('../users/user_members.ts')
  const config = parseFirebaseHashConfig(await readFile(path))
  if (config !== undefined) return config
  throw new Error(
    `${path} has not the password hash parameters of a Firebase project: signer key, salt separator, rounds, mem_cost`,
  )
}

const countUsers = (count: number) => `${count} ${count === 1 ? 'user' : 'users'}`

async function printExport(): Promise<void> {
  await withAdmin(async deps => {
    const { exportUsers } = await import('../admin/user_files.ts')
    for await (const line of exportUsers(deps, operator())) {
      if (!print(`${line}\n`)) await once(process.stdout, 'drain')
    }
  })
}

/** @param file a path, or - for stdin @throws Error for what is not UTF-8: names would come in mutilated */
async function readFile(file: string): Promise<string> {
  const name = file === '-' ? 'stdin' : file
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(
      file === '-' ? await buffer(process.stdin) : readFileSync(file),
    )
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      throw new Error(`cannot read ${name}: it is not UTF-8`, { cause: error })
    throw new Error(`cannot read ${name}: ${(error as Error).message}`, { cause: error })
  }
}

const collect = (value: string, previous: readonly string[]) => [...previous, value]
