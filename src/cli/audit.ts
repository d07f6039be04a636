/** `latchkey audit`: who did what, when, from where. */
import { Command, InvalidArgumentError } from 'commander'
import { type EventDocument, listEvents, readAuditFilter } from '../admin/audit_trail.ts'
import { parseDuration } from '../setting_values.ts'
import { now } from '../system.ts'
import { outputPages } from './pages.ts'
import { formatTime, parseLimit, withAdmin } from './run.ts'

type Options = {
  user?: string
  client?: string
  session?: string
  type?: string
  ip?: string
  since?: number
  until?: number
  limit: number
  json?: true
}

export function auditCommand(): Command {
  return new Command('audit')
    .description('list what happened, newest first: sign-ins, refusals, what ended sessions, what operators did')
    .option('--user <username>', 'about this user; also the id of one who was removed')
    .option('--client <id>', 'about this client')
    .option('--session <id>', 'about this session')
    .option('--type <type>', 'of this type, such as session.revoked, or of all that begin so, such as session')
    .option('--ip <address>', 'from this address')
    .option(
      '--since <time>',
      'not before: a duration back from now, such as 24h, or a time, such as 2030-01-31T12:00Z',
      parseTime,
    )
    .option('--until <time>', 'not after', parseTime)
    .option('--limit <number>', 'at most so many', parseLimit, 100)
    .option('--json', 'print one JSON document')
    .action((options: Options) =>
      withAdmin(async deps => {
        const { user, client: clientId, session: sessionId, limit, json: _, ...rest } = options
        const which = await readAuditFilter(deps, { ...rest, user, clientId, sessionId })
        let after: number | undefined
        await outputPages<EventDocument>(
          options,
          limit,
          async (_last, size) => {
            const { events, next } = await listEvents(deps, which, { after, limit: size })
            after = next
            return events
          },
          {
            headings: ['TIME', 'EVENT', 'USER', 'CLIENT', 'IP', 'TIMES', 'DETAIL', 'SESSION', 'REQUEST'],
            row: one => [
              formatTime(one.at),
              one.type,
              one.username ?? one.user_id ?? undefined,
              one.client_id ?? undefined,
              one.ip ?? undefined,
              one.count,
              one.detail ?? undefined,
              one.session_id ?? undefined,
              one.request_id ?? undefined,
            ],
          },
        )
      }),
    )
}

/** @returns seconds since the epoch */
function parseTime(text: string): number {
  const ago = parseDuration(text, 0)
  if (ago !== undefined) return now() - ago
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw new InvalidArgumentError('It takes 24h, 7d, 2030-01-31 or 2030-01-31T12:00Z.')
  return Math.floor(time / 1000)
}
