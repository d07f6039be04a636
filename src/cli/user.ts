/** `latchkey user`: the people who sign in. */
import { Command } from 'commander'
import { listUserFactors } from '../admin/factors.ts'
import {
  createUser,
  getUser,
  listUsers,
  readNewUser,
  readUserUpdate,
  removeUser,
  setPassword,
  setUserDisabled,
  showUser,
  type UserDocument,
  type UserSettings,
  updateUser,
} from '../admin/users.ts'
import { minPassword, minSolePassword } from '../users/password_rules.ts'
import { collect } from './client_options.ts'
import { outputPages } from './pages.ts'
import {
  describeDocument,
  formatTime,
  operator,
  output,
  readSecret,
  UsageError,
  withAdmin,
  withConflictHints,
  withOptionNames,
} from './run.ts'
import { addFactorsCommand, factorWords } from './user_factors.ts'
import { addFileCommands } from './user_files.ts'
import { addInviteCommand } from './user_invite.ts'
import { addResetLinkCommand } from './user_reset_link.ts'

type Json = { json?: true }
type PasswordOption = { passwordStdin?: true }
type ReservedOption = { takeReserved?: true }
type SettingOptions = { email?: string; emailVerified?: boolean; name?: string; role?: string[] }

const optionNames = {
  username: 'the username',
  email: '--email',
  email_verified: '--email-verified',
  full_name: '--name',
  roles: '--role',
  password: '',
}

const passwordHelp = `
A password has at least ${minSolePassword} characters (LATCHKEY_PASSWORD_MIN), ${minPassword} beside a second factor.`

/** A name that somebody is known by is not to be somebody else's the next day. */
const takeReserved = ['--take-reserved', 'also a username that is kept for who had it in the last 90 days'] as const
const reservedHint = { username_reserved: '; --take-reserved gives it to somebody else' }

export function userCommand(): Command {
  const user = new Command('user').description('add, change and remove users')

  user
    .command('add <username>')
    .description('add a user; asks for the password')
    .option('--email <address>', 'e-mail address, which nobody else has unless LATCHKEY_UNIQUE_EMAIL is off')
    .option('--email-verified', 'the user has proved to read what is sent there')
    .option('--name <name>', 'full name')
    .option('--role <role>', 'what APIs let the user do, by a name they know; repeat for several', collect)
    .option('--password-stdin', 'read the password from stdin')
    .option(...takeReserved)
    .option('--json', 'print one JSON document')
    .addHelpText('after', passwordHelp)
    .action(addUser)
  user
    .command('update <username>')
    .description('change what is named by options; the user stays signed in, and tokens say it from their next refresh')
    .option('--username <name>', 'another username')
    .option('--email <address>', 'e-mail address, "" for none')
    .option('--email-verified', 'the user has proved to read what is sent there')
    .option('--no-email-verified', 'nobody has; so it is with another address, too')
    .option('--name <name>', 'full name, "" for none')
    .option('--role <role>', 'all roles of the user; repeat for several, "none" for none', collect)
    .option(...takeReserved)
    .option('--json', 'print one JSON document')
    .action(update)
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
            headings: ['USERNAME', 'ID', 'EMAIL', 'NAME', 'ROLES', 'PASSWORD', 'DISABLED'],
            row: one => [
              one.username,
              one.id,
              one.email ?? undefined,
              one.full_name ?? undefined,
              one.roles.join(' ') || undefined,
              one.has_password ? 'set' : 'none',
              one.delete_at === null
                ? formatTime(one.disabled_at ?? undefined)
                : `until ${formatTime(one.delete_at)}, then deleted`,
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
        const factors = factorWords(await listUserFactors(deps, { id: document.id }))
        output(options, document, describeDocument({ ...document, factors }))
      }),
    )
  user
    .command('password <username>')
    .description('set another password; ends all sessions of the user')
    .option('--password-stdin', 'read the password from stdin')
    .option('--json', 'print one JSON document')
    .addHelpText('after', passwordHelp)
    .action(changePassword)
  user
    .command('disable <username>')
    .description('refuse sign-ins and end all sessions of a user')
    .option('--json', 'print one JSON document')
    .action((username: string, options: Json) => setDisabled(username, true, options))
  user
    .command('enable <username>')
    .description('let a disabled user sign in again, also one who is to be deleted, who is not then')
    .option('--json', 'print one JSON document')
    .action((username: string, options: Json) => setDisabled(username, false, options))
  user
    .command('remove <username>')
    .description('remove a user with all sessions; the username is kept from others for 90 days')
    .option('--json', 'print one JSON document')
    .action((username: string, options: Json) =>
      withAdmin(async deps => {
        const { removed } = await removeUser(deps, username, operator())
        output(options, { removed }, `removed the user ${removed}`)
      }),
    )
  addInviteCommand(user)
  addResetLinkCommand(user)
  addFactorsCommand(user)
  addFileCommands(user)
  return user
}

async function addUser(
  username: string,
  options: Json & PasswordOption & SettingOptions & ReservedOption,
): Promise<void> {
  await withOptionNames(optionNames, async () => {
    const given = readNewUser({ ...settingsOf(options), username })
    await withAdmin(async deps => {
      const password = await readPassword(options)
      const taking = { takesReserved: options.takeReserved }
      const user = await withConflictHints(reservedHint, () => createUser(deps, given, password, operator(), taking))
      output(options, user, `added the user ${user.username}`)
    })
  })
}

async function update(
  name: string,
  options: Json & SettingOptions & ReservedOption & { username?: string },
): Promise<void> {
  await withOptionNames({ ...optionNames, username: '--username' }, async () => {
    const changes = readUserUpdate({ ...settingsOf(options), username: options.username })
    if (Object.keys(changes).length === 0)
      throw new UsageError('name what is to change; see latchkey user update --help')
    await withAdmin(async deps => {
      const taking = { takesReserved: options.takeReserved }
      const user = await withConflictHints(reservedHint, () =>
        updateUser(deps, name, changes, operator(), undefined, taking),
      )
      output(options, user, `changed the user ${user.username}`)
    })
  })
}

function settingsOf({ email, emailVerified, name, role }: SettingOptions): UserSettings {
  return {
    email,
    email_verified: emailVerified,
    full_name: name,
    roles: role?.length === 1 && role[0] === 'none' ? [] : role,
  }
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
