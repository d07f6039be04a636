/** `latchkey session`: who is signed in where, and ending it. */
import { Command } from 'commander'
import {
  listSessions,
  readSessionFilter,
  revokeSessions,
  type SessionDocument,
  type WhoseSessions,
} from '../admin/sessions.ts'
import { printableBrief } from '../printable.ts'
import { isSessionId } from '../sessions/session.ts'
import { outputPages } from './pages.ts'
import { formatTime, operator, output, parseLimit, UsageError, withAdmin } from './run.ts'

type Json = { json?: true }

export function sessionCommand(): Command {
  const session = new Command('session').description('list and end sessions')

  session
    .command('list')
    .description('list live sessions, last seen first')
    .option('--user <username>', 'of this user only')
    .option('--client <id>', 'of this client only')
    .option('--limit <number>', 'at most so many', parseLimit, 100)
    .option('--json', 'print one JSON document')
    .action((options: Json & WhoseSessions & { limit: number }) =>
      withAdmin(async deps => {
        const which = await readSessionFilter(deps, options)
        const at = deps.now()
        await outputPages<SessionDocument>(
          options,
          options.limit,
          (after, limit) => listSessions(deps, which, at, { after, limit }),
          {
            headings: ['SESSION', 'USER', 'CLIENT', 'DEVICE', 'IP', 'SIGNED IN', 'LAST SEEN'],
            row: one => [
              one.id,
              one.user_id,
              one.client_id,
              one.device ?? undefined,
              one.ip ?? undefined,
              formatTime(one.created_at),
              formatTime(one.last_seen_at),
            ],
          },
        )
      }),
    )
  session
    .command('revoke [id]')
    .description('end one session, those of a user or a client, or all')
    .option('--user <username>', 'all of this user')
    .option('--client <id>', 'all of this client')
    .option('--all', 'all there are, as after restoring a backup')
    .option('--json', 'print one JSON document')
    // One id in 64 begins like an option.
    .allowUnknownOption()
    .action((id: string | undefined, options: Json & WhoseSessions & { all?: true }) => {
      const { user, client } = options
      if (id?.startsWith('-') && !isSessionId(id)) throw new UsageError(`unknown option ${printableBrief(id)}`)
      const ways = [id, user ?? client, options.all].filter(way => way !== undefined)
      if (ways.length !== 1) throw new UsageError('say which: a session id, --user and/or --client, or --all')
      return withAdmin(async deps => {
        const { revoked } = await revokeSessions(deps, { id, user, client }, operator())
        output(options, { revoked }, `ended ${revoked} ${revoked === 1 ? 'session' : 'sessions'}`)
      })
    })
  return session
}
