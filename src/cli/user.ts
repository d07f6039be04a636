/** `latchkey user`: the people who sign in. */
import { Command } from 'commander'
import {
  createUser,
  getUser,
  listUsers,
  readNewUser,
  removeUser,
  setPassword,
  setUserDisabled,
  showUser,
  type UserDocument,
} from '../admin/users.ts'
import { outputPages } from './pages.ts'
import { describeDocument, formatTime, operator, output, readSecret, withAdmin, withOptionNames } from './run.ts'
import { addFileCommands } from './user_files.ts'

type Json = { json?: true }
type PasswordOption = { passwordStdin?: true }

const optionNames = { username: 'the username', email: '--email', full_name: '--name', password: '' }

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
      withAdmin(async deps => {
        await outputPages<UserDocument>(
          options,
          Number.POSITIVE_INFINITY,
          (last, limit) => listUsers(deps, { after: last?.username, limit }),
          {
            headings: ['USERNAME', 'ID', 'EMAIL', 'NAME', 'PASSWORD', 'DISABLED'],
            row: one => [
              one.username,
              one.id,
              one.email ?? undefined,
              one.full_name ?? undefined,
              one.has_password ? 'set' : 'none',
              formatTime(one.disabled_at ?? undefined),
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
      withAdmin(async deps => {
        const document = await showUser(deps, username)
        output(options, document, describeDocument(document))
      }),
    )
  user
    .command('password <username>')
    .description('set another password; ends all sessions of the user')
    .option('--password-stdin', 'read the password from stdin')
    .option('--json', 'print one JSON document')
    .action(changePassword)
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
      withAdmin(async deps => {
        const { removed } = await removeUser(deps, username, operator())
        output(options, { removed }, `removed the user ${removed}`)
      }),
    )
  addFileCommands(user)
  return user
}

async function addUser(
  username: string,
  options: Json & PasswordOption & { email?: string; name?: string },
): Promise<void> {
  await withOptionNames(optionNames, async () => {
    const given = readNewUser({ username, email: options.email, full_name: options.name })
    await withAdmin(async deps => {
      const user = await createUser(deps, given, await readPassword(options), operator())
      output(options, user, `added the user ${user.username}`)
    })
  })
}

async function changePassword(username: string, options: Json & PasswordOption): Promise<void> {
  await withOptionNames(optionNames, () =>
    withAdmin(async deps => {
      // Nobody types a password for a user who is not there.
      await getUser(deps, username)
      const user = await setPassword(deps, username, await readPassword(options), operator())
      output(options, user, `set the password of ${user.username}; all sessions of this user have ended`)
    }),
  )
}

async function setDisabled(name: string, disabled: boolean, options: Json): Promise<void> {
  await withAdmin(async deps => {
    const user = await setUserDisabled(deps, name, disabled, operator())
    const state = disabled ? 'disabled; all sessions of this user have ended' : 'enabled'
    output(options, user, `${user.username} is ${state}`)
  })
}

function readPassword({ passwordStdin }: PasswordOption): Promise<string> {
  return readSecret(passwordStdin, '--password-stdin', 'Password')
}
