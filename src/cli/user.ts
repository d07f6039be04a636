/** `latchkey user`: the people who sign in. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { Command } from 'commander'
import type { Config } from '../config.ts'
import { printable, printableBrief } from '../printable.ts'
import { disabledUpdate, passwordUpdate } from '../sessions/user_change.ts'
import type { Storage } from '../storage/storage.ts'
import { now, randomBytes } from '../system.ts'
import { type Reading, readEmail, readFullName, readUsername, usernameFold } from '../text.ts'
import { createPasswords } from '../users/password.ts'
import { passwordProblem, passwordProblemTexts } from '../users/password_rules.ts'
import { createUserId, type User } from '../users/user.ts'
import type { Problem, UserFile } from '../users/user_file.ts'
import type { FirebaseHashConfig } from '../users/user_members.ts'
import { outputPages, pageSize } from './pages.ts'
import { formatTime, operatorEvent, output, print, readSecret, table, UsageError, withStorage } from './run.ts'

type Json = { json?: true }
type PasswordOption = { passwordStdin?: true }

export function userCommand(): Command {
  const user = new Command('user').description('add, change and remove users')

  user
    .command('add <username>')
    .description('add a user; asks for the password')
    .option('--email <address>', 'e-mail address')
    .option('--name <name>', 'full name')
    .option('--password-stdin', 'read the password from stdin')
    .option('--json', 'print one JSON document')
    .action(addUser)
  user
    .command('list')
    .description('list all users')
    .option('--json', 'print one JSON document')
    .action((options: Json) =>
      withStorage(async storage => {
        await outputPages<User>(
          options,
          Number.POSITIVE_INFINITY,
          (last, limit) => storage.listUsers({ after: last?.username, limit }),
          {
            headings: ['USERNAME', 'ID', 'EMAIL', 'NAME', 'PASSWORD', 'DISABLED'],
            describe: describeUser,
            row: one => [
              one.username,
              one.id,
              one.email,
              one.fullName,
              one.passwordHash === undefined ? 'none' : 'set',
              formatTime(one.disabledAt),
            ],
          },
        )
      }),
    )
  user
    .command('show <username>')
    .description('show one user')
    .option('--json', 'print one JSON document')
    .action((username: string, options: Json) =>
      withStorage(async storage => {
        const document = describeUser(await getUser(storage, username))
        output(
          options,
          document,
          table(
            ['FIELD', 'VALUE'],
            Object.entries(document).map(([name, value]) => [name, value === null ? undefined : String(value)]),
          ),
        )
      }),
    )
  user
    .command('password <username>')
    .description('set another password; ends all sessions of the user')
    .option('--password-stdin', 'read the password from stdin')
    .option('--json', 'print one JSON document')
    .action(setPassword)
  user
    .command('disable <username>')
    .description('refuse sign-ins and end all sessions of a user')
    .option('--json', 'print one JSON document')
    .action((username: string, options: Json) => setDisabled(username, true, options))
  user
    .command('enable <username>')
    .description('let a disabled user sign in again')
    .option('--json', 'print one JSON document')
    .action((username: string, options: Json) => setDisabled(username, false, options))
  user
    .command('remove <username>')
    .description('remove a user with all sessions')
    .option('--json', 'print one JSON document')
    .action((username: string, options: Json) =>
      withStorage(async storage => {
        const found = await getUser(storage, username)
        await storage.removeUser(found.id, operatorEvent('user.removed', { userId: found.id, detail: found.username }))
        output(options, { removed: found.username }, `removed the user ${found.username}`)
      }),
    )
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
    .option('--dry-run', 'import nothing; report line by line what cannot be imported and why')
    .option('--json', 'print one JSON document')
    .action(importUsers)
  user
    .command('export')
    .description('print all users with their password hashes as JSON lines, which import reads; keep them safe')
    .action(exportUsers)
  return user
}

async function addUser(
  name: string,
  options: Json & PasswordOption & { email?: string; name?: string },
): Promise<void> {
  const username = insistOn(readUsername(name), 'the username')
  const email = options.email?.trim() ? insistOn(readEmail(options.email), '--email') : undefined
  const fullName = options.name?.trim() ? insistOn(readFullName(options.name), '--name') : undefined
  await withStorage(async (storage, config) => {
    const user = {
      id: createUserId(randomBytes),
      username,
      email,
      fullName,
      passwordHash: await readAndHashPassword(config, options),
      credentialVersion: 1,
      createdAt: now(),
    }
    const taken = await storage.createUsers([user], operatorEvent('user.created'))
    if (taken.length > 0) throw new Error(`the username ${username} is taken`)
    output(options, describeUser(user), `added the user ${username}`)
  })
}

function insistOn({ text, problem }: Reading, what: string): string {
  if (text === undefined) throw new UsageError(`${what} ${problem}`)
  return text
}

type ImportOptions = Json & { ignore: string[]; firebaseHashConfig?: string; dryRun?: true }

async function importUsers(path: string, options: ImportOptions): Promise<void> {
  await withStorage(async storage => {
    const { parseUserFile } = await import('../users/user_file.ts')
    const { ignore } = options
    const firebase =
      options.firebaseHashConfig === undefined ? undefined : await readHashConfig(options.firebaseHashConfig)
    const file = parseUserFile(await readFile(path), now(), randomBytes, { ignore, firebase })
    const users = file.users.map(({ user }) => user)
    const tooDear = await dearHashes(file.users)
    const dryRun = options.dryRun || file.problems.length > 0 || tooDear.length > 0
    const event = operatorEvent('user.created', { detail: 'import' })
    const taken = dryRun ? await storage.findTakenUsers(users) : await storage.importUsers(users, event, now)
    const problems = [...file.problems, ...tooDear, ...(await takenProblems(storage, file.users, new Set(taken)))]
    const lines = problems.map(({ place, member, problem }) =>
      [printableBrief(place), member && printableBrief(member), printable(problem)].filter(Boolean).join(': '),
    )
    const report = {
      without_password: users.filter(({ passwordHash }) => passwordHash === undefined).length,
      disabled: users.filter(({ disabledAt }) => disabledAt !== undefined).length,
      weak_hashes: file.weakHashes,
      left_out: file.leftOut,
      ignored: file.ignored,
    }
    const notes = describeReport(report)

    if (options.dryRun) {
      const count = file.users.length - new Set([...taken, ...tooDear.map(({ user }) => user)]).size
      const summary =
        problems.length > 0
          ? `${countUsers(count)} could be imported, but for these:`
          : `${countUsers(count)} can be imported`
      output(
        options,
        {
          importable: count,
          problems: problems.map(({ place, member, problem }) => ({ place, member, problem })),
          ...report,
        },
        [summary, ...lines, ...notes].join('\n'),
      )
      if (problems.length > 0) process.exitCode = 1
    } else if (problems.length > 0) {
      const more = lines.length > 20 ? [`and ${lines.length - 20} more: --dry-run shows all`] : []
      throw new Error(['nothing was imported:', ...lines.slice(0, 20), ...more].join('\n'))
    } else {
      const summary = `imported ${countUsers(file.users.length)}`
      output(options, { imported: file.users.length, ...report }, [summary, ...notes].join('\n'))
    }
  })
}

/** Those whose hash would cost too much at every sign-in on this machine: of each kind one is estimated. */
async function dearHashes(users: UserFile['users']): Promise<(Problem & { user: User })[]> {
  const [{ createCostEstimator }, { openPasswordHash }] = await Promise.all([
    import('../users/password_cost.ts'),
    import('../users/password_formats.ts'),
  ])
  const estimator = createCostEstimator()
  const known = new Map<string, string | undefined>()
  const problems: (Problem & { user: User })[] = []
  for (const { place, user } of users) {
    const hash = user.passwordHash === undefined ? undefined : openPasswordHash(user.passwordHash)
    if (hash === undefined) continue
    if (!known.has(hash.kind)) known.set(hash.kind, await estimator.problem(hash))
    const problem = known.get(hash.kind)
    if (problem !== undefined) problems.push({ place, user, member: 'hashed_password', problem })
  }
  return problems
}

type ImportReport = Readonly<{
  without_password: number
  disabled: number
  weak_hashes: number
  left_out: number
  ignored: readonly string[]
}>

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

/** Says of each user whether it is the name that is taken, or only the id. */
async function takenProblems(storage: Storage, users: UserFile['users'], taken: ReadonlySet<User>): Promise<Problem[]> {
  const before = new Set<string>()
  const problems: Problem[] = []
  for (const { place, user } of users) {
    const name = usernameFold(user.username)
    if (taken.has(user)) {
      const isName = before.has(name) || (await storage.findUserByUsername(user.username)) !== undefined
      const problem = 'is taken, by a user who exists or one before in the file'
      problems.push({ place, member: isName ? 'username' : 'id', problem })
    }
    before.add(name)
  }
  return problems
}

async function exportUsers(): Promise<void> {
  await withStorage(async storage => {
    const { formatUser } = await import('../users/user_file.ts')
    await storage.addAuditEvents([operatorEvent('user.exported')])
    let after: string | undefined
    do {
      const users = await storage.listUsers({ after, limit: pageSize })
      for (const user of users) {
        if (!print(`${formatUser(user)}\n`)) await once(process.stdout, 'drain')
      }
      after = users.at(-1)?.username
    } while (after !== undefined)
  })
}

async function setPassword(username: string, options: Json & PasswordOption): Promise<void> {
  await withStorage(async (storage, config) => {
    const user = await getUser(storage, username)
    const passwordHash = await readAndHashPassword(config, options)
    await storage.changeUser(
      user.id,
      passwordUpdate(passwordHash, operatorEvent('user.password_changed', { userId: user.id })),
    )
    output(options, describeUser(user), `set the password of ${user.username}; all sessions of this user have ended`)
  })
}

async function setDisabled(username: string, disabled: boolean, options: Json): Promise<void> {
  await withStorage(async storage => {
    const user = await getUser(storage, username)
    const event = operatorEvent(disabled ? 'user.disabled' : 'user.enabled', { userId: user.id })
    await storage.changeUser(user.id, disabledUpdate(disabled, event))
    const state = disabled ? 'disabled; all sessions of this user have ended' : 'enabled'
    output(options, describeUser(await getUser(storage, username)), `${user.username} is ${state}`)
  })
}

async function readAndHashPassword(config: Config, options: PasswordOption): Promise<string> {
  const password = await readSecret(options.passwordStdin, '--password-stdin', 'Password')
  const problem = await passwordProblem(password)
  if (problem !== undefined) throw new UsageError(passwordProblemTexts[problem])
  const passwords = await createPasswords(config.passwordHashing, randomBytes)
  return passwords.hash(password)
}

async function getUser(storage: Storage, username: string): Promise<User> {
  const user = await storage.findUserByUsername(username)
  if (user === undefined) throw new Error(`there is no user ${printableBrief(username)}`)
  return user
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

function describeUser({ id, username, email, fullName, passwordHash, createdAt, disabledAt }: User) {
  return {
    id,
    username,
    email: email ?? null,
    full_name: fullName ?? null,
    has_password: passwordHash !== undefined,
    created_at: createdAt,
    disabled_at: disabledAt ?? null,
  }
}
