/** `latchkey session`: who is signed in where, and ending it. */
import { Command } from 'commander'
import { printableBrief } from '../printable.ts'
import type { Session } from '../sessions/session.ts'
import type { SessionFilter } from '../sessions/storage.ts'
import type { Storage } from '../storage/storage.ts'
import { now } from '../system.ts'
import { outputPages } from './pages.ts'
import { formatTime, operatorEvent, output, parseLimit, UsageError, withStorage } from './run.ts'

type Json = { json?: true }
type Which = { user?: string; client?: string }

export function sessionCommand(): Command {
  const session = new Command('session').description('list and end sessions')

  session
    .command('list')
    .description('list live sessions, last seen first')
    .option('--user <username>', 'of this user only')
    .option('--client <id>', 'of this client only')
    .option('--limit <number>', 'at most so many', parseLimit, 100)
    .option('--json', 'print one JSON document')
    .action((options: Json & Which & { limit: number }) =>
      withStorage(async storage => {
        const which = await filterOf(storage, options)
        const at = now()
        await outputPages<Session>(
          options,
          options.limit,
          (last, size) => storage.listLiveSessions(which, at, size, last),
          {
            headings: ['SESSION', 'USER', 'CLIENT', 'DEVICE', 'IP', 'SIGNED IN', 'LAST SEEN'],
            describe: describeSession,
            row: one => [
              one.id,
              one.userId,
              one.clientId,
              one.device,
              one.ip,
              formatTime(one.createdAt),
              formatTime(one.lastSeenAt),
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
    .action((id: string | undefined, options: Json & Which & { all?: true }) => {
      const ways = [id, options.user ?? options.client, options.all].filter(way => way !== undefined)
      if (ways.length !== 1) throw new UsageError('say which: a session id, --user and/or --client, or --all')
      return withStorage(async storage => {
        const which = { id, ...(await filterOf(storage, options)) }
        const { userId, clientId } = which
        const event = operatorEvent('session.revoked', { userId, clientId, sessionId: id })
        const revoked = await storage.revokeSessions(which, 'revoked_by_operator', event)
        if (id !== undefined && revoked === 0) throw new Error(`there is no live session ${id}`)
        output(options, { revoked }, `ended ${revoked} ${revoked === 1 ? 'session' : 'sessions'}`)
      })
    })
  return session
}

async function filterOf(storage: Storage, { user, client }: Which): Promise<SessionFilter> {
  const found = user === undefined ? undefined : await storage.findUserByUsername(user)
  if (user !== undefined && found === undefined) throw new Error(`there is no user ${printableBrief(user)}`)
  if (client !== undefined && (await storage.findClient(client)) === undefined)
    throw new Error(`there is no client ${client}`)
  return { userId: found?.id, clientId: client }
}

function describeSession(session: Session) {
  return {
    id: session.id,
    user_id: session.userId,
    client_id: session.clientId,
    scope: session.scope,
    device: session.device ?? null,
    ip: session.ip ?? null,
    user_agent: session.userAgent ?? null,
    created_at: session.createdAt,
    last_seen_at: session.lastSeenAt,
    expires_at: Math.min(session.idleExpiresAt, session.expiresAt),
  }
}
