/** `latchkey audit`: who did what, when, from where. */
import { Command, InvalidArgumentError } from 'commander'
import { type EventDocument, listEvents, readAuditFilter } from '../admin/audit_trail.ts'
import { auditEventTypes } from '../audit/audit.ts'
import { printable } from '../printable.ts'
import { parseDuration } from '../setting_values.ts'
import { now } from '../system.ts'
import { outputPages } from './pages.ts'
import { formatTime, parseLimit, withAdmin, withOptionNames } from './run.ts'

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
    .addHelpText('after', `\nTypes:\n${auditEventTypes.map(type => `  ${type}`).join('\n')}`)
    .action((options: Options) =>
      withAdmin(async deps => {
        const { user, client: clientId, session: sessionId, limit, json: _, ...rest } = options
        const which = await withOptionNames({ type: '--type' }, () =>
          readAuditFilter(deps, { ...rest, user, clientId, sessionId }),
        )
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
            headings: ['TIME', 'EVENT', 'USER', 'CLIENT'],
            row: one => [
              formatTime(one.at),
              one.type,
              nameOf(one) && cut(printable(nameOf(one)!)),
              one.client_id === null ? undefined : cut(printable(one.client_id)),
            ],
            below: factsOf,
          },
        )
      }),
    )
}

/** Columns of a line, which fits into a terminal of 100. */
const maxLine = 100
const indent = '    '
/** Columns of a name in the table; a longer one stands below as well, whole. */
const maxName = 24

const nameOf = (one: EventDocument): string | undefined => one.username ?? one.user_id ?? undefined
const cut = (text: string) => (text.length > maxName ? `${text.slice(0, maxName - 1)}…` : text)

/** What the table has no room for, in lines. */
function factsOf(one: EventDocument): string[] {
  const [user, client] = [printable(nameOf(one) ?? ''), printable(one.client_id ?? '')]
  const facts = [
    ...(user.length > maxName ? [`user ${user}`] : []),
    ...(client.length > maxName ? [`client ${client}`] : []),
    ...(one.count > 1 ? [`${one.count} times`] : []),
    ...(one.ip === null ? [] : [`from ${one.ip}`]),
    ...(one.session_id === null ? [] : [`session ${one.session_id}`]),
    ...(one.request_id === null ? [] : [`request ${one.request_id}`]),
    ...(one.detail === null ? [] : [one.detail]),
  ]
  return wrap(printable(facts.join(', ')), maxLine - indent.length).map(line => indent + line)
}

/** At spaces, and within a word that is longer than a line. */
function wrap(text: string, width: number): string[] {
  return text.match(new RegExp(`\\S.{0,${width - 1}}(?=\\s|$)|\\S{${width}}`, 'gu')) ?? []
}

/** @returns seconds since the epoch */
function parseTime(text: string): number {
  const ago = parseDuration(text, 0)
  if (ago !== undefined) return now() - ago
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw new InvalidArgumentError('It takes 24h, 7d, 2030-01-31 or 2030-01-31T12:00Z.')
  return Math.floor(time / 1000)
}
