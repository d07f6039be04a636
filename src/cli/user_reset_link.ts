/** `latchkey user reset-link`: a link by which a user chooses another password, for who cannot get it by mail. */
import type { Command } from 'commander'
import { createResetLink, maxResetLink, minResetLink } from '../admin/reset_link.ts'
import { parseDuration } from '../setting_values.ts'
import { formatTime, issuerOf, operator, output, UsageError, withAdmin } from './run.ts'

const help = `
The link works once, and no more after any other change of the password, the second factors or the address. Whoever has it
chooses the password: hand it to nobody else. A second factor is asked for all the same, and all sessions of the user end.
It works without LATCHKEY_SMTP_URL too.`

export function addResetLinkCommand(user: Command): void {
  user
    .command('reset-link <username>')
    .description('print a link by which a user chooses another password')
    .option('--lifetime <duration>', 'how long the link works, 1m to 24h', '30m')
    .option('--json', 'print one JSON document')
    .addHelpText('after', help)
    .action(async (username: string, { lifetime, json }: { lifetime: string; json?: true }) => {
      const seconds = parseDuration(lifetime, minResetLink, maxResetLink)
      if (seconds === undefined)
        throw new UsageError(`--lifetime ${lifetime}: it takes a duration from 1m to 24h, such as 2h`)
      await withAdmin(async (deps, config) => {
        const issuer = await issuerOf(deps, config)
        const made = await createResetLink(deps, username, issuer, seconds, operator())
        const until = formatTime(made.expires_at)
        output({ ...(json && { json }) }, made, `${made.link}\nworks once for ${made.username}, until ${until}`)
      })
    })
}
