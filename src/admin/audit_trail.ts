/** What operators see of the audit trail. */
import { type AuditEvent, type AuditFilter, auditEventTypes } from '../audit/audit.ts'
import type { Needs } from './deps.ts'
import { InvalidMember } from './error.ts'

export type EventDocument = ReturnType<typeof describeEvent>

/**
 * @param user a username, or the id of a user, who may be removed
 * @throws InvalidMember for a type that no event has: an empty answer would look as if nothing had happened
 */
export async function readAuditFilter(
  { storage }: Needs<'storage'>,
  { user, ...rest }: Omit<AuditFilter, 'userId'> & Readonly<{ user?: string | undefined }>,
): Promise<AuditFilter> {
  const { type } = rest
  if (type !== undefined && !auditEventTypes.some(one => one === type || one.startsWith(`${type}.`)))
    throw new InvalidMember('type', `there are ${auditEventTypes.join(', ')}, and what stands before their dot`, type)
  const userId = user === undefined ? undefined : ((await storage.findUserByUsername(user))?.id ?? user)
  return { ...rest, userId }
}

/** Newest first. @param page.after `next` of the page before */
export async function listEvents(
  { storage }: Needs<'storage'>,
  which: AuditFilter,
  page: Readonly<{ after?: number | undefined; limit: number }>,
): Promise<{ events: EventDocument[]; next: number | undefined }> {
  const { events, next } = await storage.pageAuditEvents(which, page)
  const names = await usernames({ storage }, events)
  return { events: events.map(event => describeEvent(event, names)), next }
}

/** Of the users that are still there, by id. */
async function usernames({ storage }: Needs<'storage'>, events: readonly AuditEvent[]): Promise<Map<string, string>> {
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
