/** `latchkey user invite`: somebody makes an account by a link. */
import type { Command } from 'commander'
import { inviteUser, maxInvitation, minInvitation } from '../admin/invitations.ts'
import { parseDuration } from '../setting_values.ts'
import { collect } from './client_options.ts'
import {
  formatTime,
  issuerOf,
  operator,
  output,
  UsageError,
  withAdmin,
  withConflictHints,
  withOptionNames,
} from './run.ts'

type Options = {
  username?: string
  name?: string
  role?: string[]
  lifetime?: string
  print?: true
  json?: true
}

const optionNames = {
  email: 'the address',
  username: '--username',
  full_name: '--name',
  roles: '--role',
  lifetime: '--lifetime',
}

const help = `
The link is for one account, and leads to a page that asks for a username and a password; LATCHKEY_SIGN_UP may be off. Where
LATCHKEY_SMTP_URL is set it is mailed, otherwise printed: whoever has it can use it.`

export function addInviteCommand(user: Command): void {
  user
    .command('invite <email>')
    .description('let somebody make an account, by a link that proves the address')
    .option('--username <name>', 'username that is offered')
    .option('--name <name>', 'full name that is offered')
    .option('--role <role>', 'a role that the user gets; repeat for several', collect)
    .option('--lifetime <duration>', 'how long the link is good, 1h to 30d', '7d')
    .option('--print', 'print the link, and mail nothing')
    .option('--json', 'print one JSON document')
    .addHelpText('after', help)
    .action(invite)
}

async function invite(
  email: string,
  { username, name, role, lifetime = '7d', print, ...options }: Options,
): Promise<void> {
  const seconds = parseDuration(lifetime, minInvitation, maxInvitation)
  if (seconds === undefined)
    throw new UsageError(`--lifetime ${lifetime}: it takes a duration from 1h to 30d, such as 7d`)
  await withOptionNames(optionNames, () =>
    withConflictHints({ email_taken: '; latchkey user reset-link makes a link to a new password' }, () =>
      withAdmin(async (deps, config) => {
        const server = { issuer: await issuerOf(deps, config), hasMail: config.oauth.hasMail }
        const given = { email, username, full_name: name, roles: role, lifetime: seconds, print }
        const invitation = await inviteUser(deps, given, server, operator())
        const until = formatTime(invitation.expires_at)
        const text =
          invitation.link === null
            ? `a mail to ${invitation.email} is on its way; its link is good until ${until}`
            : `${invitation.link}\nis for ${invitation.email}, once, until ${until}`
        output(options, invitation, text)
      }),
    ),
  )
}
