/** `latchkey user`: the people who sign in. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import type { Config } from '../config.ts'
import { createPasswords } from '../oauth/password.ts'
import { passwordProblem, passwordProblemTexts } from '../oauth/password_rules.ts'
import type { Storage } from '../oauth/storage.ts'
import { createUserId, parseUsername, type User } from '../oauth/user.ts'
import { now, randomBytes } from '../setup.ts'
import { formatTime, operatorEvent, output, readSecret, table, UsageError, withStorage } from './run.ts'

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
        const users = await storage.listUsers()
        const rows = users.map(({ id, username, email, fullName, disabledAt }) => [
          username,
          id,
          email,
          fullName,
          formatTime(disabledAt),
        ])
        output(options, users.map(describeUser), table(['USERNAME', 'ID', 'EMAIL', 'NAME', 'DISABLED'], rows))
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
            Object.entries(document).map(([name, value]) => [name, value ?? undefined]),
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
    .command('import <file>')
    .description(
      'add users from a JSON array, JSON lines or a FastAPI users table, with their bcrypt or argon2id hashes; all or none',
    )
    .option('--json', 'print one JSON document')
    .action((file: string, options: Json) =>
      withStorage(async storage => {
        const { parseUserFile } = await import('./user_file.ts')
        const users = parseUserFile(readFile(file), now(), randomBytes)
        const taken = await storage.createUsers(users, operatorEvent('user.created', { detail: 'import' }))
        if (taken.length > 0)
          throw new Error(`nothing was imported: these usernames are taken: ${taken.slice(0, 20).join(', ')}`)
        output(options, { imported: users.length }, `imported ${users.length} users`)
      }),
    )
  return user
}

async function addUser(
  name: string,
  options: Json & PasswordOption & { email?: string; name?: string },
): Promise<void> {
  const username = parseUsername(name)
  if (username === undefined) {
    throw new UsageError('a username has 1 to 128 characters, no control characters and no white space around it')
  }
  await withStorage(async (storage, config) => {
    const user = {
      id: createUserId(randomBytes),
      username,
      email: options.email,
      fullName: options.name,
      passwordHash: await readAndHashPassword(config, options),
      credentialVersion: 1,
      createdAt: now(),
    }
    const taken = await storage.createUsers([user], operatorEvent('user.created'))
    if (taken.length > 0) throw new Error(`the username ${username} is taken`)
    output(options, describeUser(user), `added the user ${username}`)
  })
}

async function setPassword(username: string, options: Json & PasswordOption): Promise<void> {
  await withStorage(async (storage, config) => {
    const user = await getUser(storage, username)
    const passwordHash = await readAndHashPassword(config, options)
    await storage.changePassword(user.id, passwordHash, operatorEvent('user.password_changed', { userId: user.id }))
    output(options, describeUser(user), `set the password of ${user.username}; all sessions of this user have ended`)
  })
}

async function setDisabled(username: string, disabled: boolean, options: Json): Promise<void> {
  await withStorage(async storage => {
    const user = await getUser(storage, username)
    const event = operatorEvent(disabled ? 'user.disabled' : 'user.enabled', { userId: user.id })
    await storage.setUserDisabled(user.id, disabled, event)
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
  if (user === undefined) throw new Error(`there is no user ${username}`)
  return user
}

function readFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new Error(`cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
}

function describeUser({ id, username, email, fullName, createdAt, disabledAt }: User) {
  return {
    id,
    username,
    email: email ?? null,
    full_name: fullName ?? null,
    created_at: createdAt,
    disabled_at: disabledAt ?? null,
  }
}
