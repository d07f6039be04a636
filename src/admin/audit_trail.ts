/** What operators see of the audit trail. */
import { type AuditEvent, type AuditFilter, auditEventTypes, type EventPlace, isOfType } from '../audit/audit.ts'
import { describeEvent, describePlacedEvent } from '../audit/event_document.ts'
import type { Needs } from './deps.ts'
import { InvalidMember } from './error.ts'

export type EventDocument = ReturnType<typeof describeNamed>

/** Events read forward of which a page keeps a few, where they are of one type. */
const maxRead = 1000

/**
 * @param user a username, or the id of a user, who may be removed
 * @throws InvalidMember for a type that no event has: an empty answer would look as if nothing had happened
 */
export async function readAuditFilter(
  { storage }: Needs<'storage'>,
  { user, ...rest }: Omit<AuditFilter, 'userId'> & Readonly<{ user?: string | undefined }>,
): Promise<AuditFilter> {
  if (rest.type !== undefined) insistOnType('type', rest.type)
  const userId = user === undefined ? undefined : ((await storage.findUserByUsername(user))?.id ?? user)
  return { ...rest, userId }
}

/** @param type of an event, or what stands before the dot of several @throws InvalidMember for one that no event has */
export function insistOnType(member: string, type: string): void {
  if (auditEventTypes.some(one => isOfType(one, type))) return
  throw new InvalidMember(member, `there are ${auditEventTypes.join(', ')}, and what stands before their dot`, type)
}

/**
 * What happened after a place in the trail, the oldest first.
 *
 * @param page.after `next` of the page before; undefined to begin with the oldest
 * @throws InvalidMember for a type that no event has, or a place that is not in this trail
 */
export async function followEvents(
  { storage }: Needs<'storage'>,
  type: string | undefined,
  { after, limit }: Readonly<{ after: EventPlace | undefined; limit: number }>,
) {
  if (type !== undefined) insistOnType('type', type)
  const asked = type === undefined ? limit : maxRead
  const followed = await storage.followAuditEvents(after, asked)
  if (followed === undefined)
    throw new InvalidMember(
      'after',
      'it is of a trail that went on differently: this database is another one, or was restored. Begin without it; each event has the id that it had',
    )
  const fits = followed.events.filter(event => type === undefined || isOfType(event.type, type))
  const events = fits.slice(0, limit)
  const isFull = fits.length > limit
  return {
    events: events.map(describePlacedEvent),
    next: (isFull ? events.at(-1) : followed.events.at(-1)) ?? after,
    /** Whether to ask on at once. */
    more: isFull || followed.events.length === asked,
    mayMiss: followed.mayMiss,
  }
}

/** Newest first. @param page.after `next` of the page before */
export async function listEvents(
  { storage }: Needs<'storage'>,
  which: AuditFilter,
  page: Readonly<{ after?: number | undefined; limit: number }>,
): Promise<{ events: EventDocument[]; next: number | undefined }> {
  const { events, next } = await storage.pageAuditEvents(which, page)
  const names = await usernames({ storage }, events)
  return { events: events.map(event => describeNamed(event, names)), next }
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

function describeNamed(event: AuditEvent, names: ReadonlyMap<string, string>) {
  const { at, type, user_id, ...rest } = describeEvent(event)
  return { at, type, user_id, username: names.get(event.userId ?? '') ?? null, ...rest }
}
