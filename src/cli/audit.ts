/** `latchkey audit`: who did what, when, from where. */
import { Command, InvalidArgumentError } from 'commander'
import type { AuditEvent } from '../audit/audit.ts'
import { parseDuration } from '../config.ts'
import type { Storage } from '../storage/storage.ts'
import { now } from '../system.ts'
import { outputPages } from './pages.ts'
import { formatTime, parseLimit, withStorage } from './run.ts'

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
      withStorage(async storage => {
        const { user, client: clientId, session: sessionId, limit, json: _, ...rest } = options
        const userId = user === undefined ? undefined : ((await storage.findUserByUsername(user))?.id ?? user)
        const which = { ...rest, userId, clientId, sessionId }
        let after: number | undefined
        await outputPages<ReturnType<typeof describeEvent>>(
          options,
          limit,
          async (_last, size) => {
            const { events, next } = await storage.pageAuditEvents(which, { after, limit: size })
            after = next
            const names = await usernames(storage, events)
            return events.map(event => describeEvent(event, names))
          },
          {
            headings: ['TIME', 'EVENT', 'USER', 'CLIENT', 'IP', 'TIMES', 'DETAIL', 'SESSION', 'REQUEST'],
            describe: one => one,
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

/** Of the users that are still there, by id. */
async function usernames(storage: Storage, events: readonly AuditEvent[]): Promise<Map<string, string>> {
  const names = new Map<string, string>()
  for (const id of new Set(events.flatMap(({ userId }) => userId ?? []))) {
    const user = await storage.findUser(id)
    if (user !== undefined) names.set(id, user.username)
  }
  return names
}

function describeEvent(event: AuditEvent, names: ReadonlyMap<string, string>) {
  return {
    at: event.at,
    type: event.type,
    user_id: event.userId ?? null,
    username: names.get(event.userId ?? '') ?? null,
    client_id: event.clientId ?? null,
    session_id: event.sessionId ?? null,
    ip: event.ip ?? null,
    request_id: event.requestId ?? null,
    detail: event.detail ?? null,
    count: event.count ?? 1,
  }
}

/** @returns seconds since the epoch */
function parseTime(text: string): number {
  const ago = parseDuration(text, 0)
  if (ago !== undefined) return now() - ago
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw new InvalidArgumentError('It takes 24h, 7d, 2030-01-31 or 2030-01-31T12:00Z.')
  return Math.floor(time / 1000)
}
