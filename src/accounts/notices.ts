/**
 * Tells the owners of accounts what happens to them: reads the audit trail, of several nodes one by a lease, and writes mails. How far it has
 * come is in the database, and moves in the transaction that writes the mails, so each is written once. Requests know nothing of it.
 */
import type { EventPlace, PlacedEvent } from '../audit/audit.ts'
import type { AuditStorage } from '../audit/storage.ts'
import { createLease, type LeaseStorage } from '../lease.ts'
import { createMail, type Mail, type MailPurpose } from '../mail/mail.ts'
import type { MailStorage } from '../mail/storage.ts'
import type { SessionStorage } from '../sessions/storage.ts'
import type { UserStorage } from '../users/storage.ts'
import { isStrange, noticeOf, placeOf } from './notice.ts'

export type NoticeDeps = Readonly<{
  storage: Pick<MailStorage, 'findTrailReader' | 'moveTrailReader'> &
    Pick<AuditStorage, 'followAuditEvents' | 'findLastPlace' | 'pageAuditEvents'> &
    Pick<SessionStorage, 'listSessionsOf'> &
    Pick<UserStorage, 'findUser'> &
    LeaseStorage
  /** Seconds since the epoch. */
  now: () => number
  randomBytes: (size: number) => Buffer
}>

/** Of the lease and of the reader of the trail. */
const name = 'notices'
/** Events that are read at once, and how often in one step. */
const pageSize = 100
const maxPages = 20
/** Notices of one kind to one user within an hour: whoever can make events happen must not fill a mailbox. */
const maxHourly = 3
const hour = 3600
/** Users and kinds that are told apart; a forgotten one begins anew. */
const maxKinds = 50_000
/** Seconds after which nobody is told any more, as after a time without notices or mail server. */
const maxAge = 2 * 86_400
/** Sign-ins and sessions of a user that a new one is compared with. */
const maxEarlier = 200

/**
 * @param wanted those that operators have not turned off
 * @param warn   told what an operator should know, once for each trouble
 */
export function createNotices(
  deps: NoticeDeps,
  wanted: readonly MailPurpose[],
  warn: (about: object, message: string) => void,
) {
  const { storage, now } = deps
  const lease = createLease(name, deps)
  const allowance = createAllowance(now)
  let known: EventPlace | undefined
  let isStopped = false
  let running = Promise.resolve()

  async function read(): Promise<void> {
    if (isStopped) return
    const last = await storage.findLastPlace()
    if (last === undefined || (last.id === known?.id && last.at === known.at) || !(await lease.hold())) return
    known = await storage.findTrailReader(name)
    // What happened before anybody was to be told is nobody's news.
    if (known === undefined) return void (await move(undefined, last, []))
    for (let pages = 0; pages < maxPages && !isStopped; pages++) {
      const followed = await storage.followAuditEvents(known, pageSize)
      if (followed === undefined) {
        warn({}, 'the place of the notices is not in the audit trail, as after a restore: they go on at its end')
        return void (await move(known, last, []))
      }
      const { events } = followed
      if (events.length === 0 || !(await tell(known, events)) || events.length < pageSize) return
    }
  }

  /** @returns whether to go on */
  async function tell(from: EventPlace, events: readonly PlacedEvent[]): Promise<boolean> {
    const mails: Mail[] = []
    for (const event of events) {
      const mail = await mailOf(event)
      if (mail !== undefined) mails.push(mail)
    }
    const isMoved = await move(from, events.at(-1)!, mails)
    if (!isMoved) allowance.giveBack(mails.map(kindOf))
    return isMoved
  }

  async function move(from: EventPlace | undefined, { id, at }: EventPlace, mails: readonly Mail[]): Promise<boolean> {
    const isMoved = await storage.moveTrailReader(name, from, { id, at }, mails)
    // Another node was here, or the outbox is full: it is looked at again.
    known = isMoved ? { id, at } : undefined
    return isMoved
  }

  async function mailOf(event: PlacedEvent): Promise<Mail | undefined> {
    const { userId } = event
    const notice = noticeOf(event)
    if (userId === undefined || notice === undefined || !wanted.includes(notice.purpose)) return undefined
    if (now() - event.at > maxAge) return undefined
    const user = await storage.findUser(userId)
    // As it is now, before whoever did it can change that too.
    const address = user?.email
    if (address === undefined || user?.disabledAt !== undefined) return undefined
    const sessions = event.sessionId === undefined ? [] : await storage.listSessionsOf(userId, { limit: maxEarlier })
    const session = sessions?.find(({ id }) => id === event.sessionId)
    if (notice.purpose === 'new_device') {
      // Of a flood of sign-ins one stands for the others.
      if (event.sessionId === undefined) return undefined
      const which = { userId, type: 'session.created' }
      const earlier = await storage.pageAuditEvents(which, { after: event.id, limit: maxEarlier })
      if (!isStrange(event, session, earlier.events, sessions ?? [])) return undefined
    }
    const email = notice.purpose === 'email_changed' ? { email: address } : {}
    const about = { ...placeOf(event, session), ...notice.about, ...email }
    const mail = createMail(notice.purpose, { userId, address, about }, deps)
    return allowance.take(kindOf(mail)) ? mail : undefined
  }

  return {
    /** To be called about once a second. */
    step(): Promise<void> {
      const step = running.then(read)
      running = step.catch(() => {})
      return step
    },
    /** Lets another node go on at once. */
    async stop(): Promise<void> {
      isStopped = true
      await running
      await lease.end()
    },
  }
}

export type Notices = ReturnType<typeof createNotices>

const kindOf = ({ userId, purpose }: Mail) => `${userId} ${purpose}`

function createAllowance(now: () => number) {
  const times = new Map<string, readonly number[]>()
  return {
    /** @returns whether one more of a kind may be within the hour, which then counts */
    take(kind: string): boolean {
      const recent = (times.get(kind) ?? []).filter(at => Math.abs(now() - at) < hour)
      const isAllowed = recent.length < maxHourly
      times.delete(kind)
      times.set(kind, isAllowed ? [...recent, now()] : recent)
      if (times.size > maxKinds) times.delete(times.keys().next().value!)
      return isAllowed
    },
    /** What was taken and came to nothing. */
    giveBack(kinds: readonly string[]): void {
      for (const kind of kinds) times.set(kind, (times.get(kind) ?? []).slice(0, -1))
    },
  }
}
