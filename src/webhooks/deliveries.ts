/**
 * Sends events to webhooks: of several nodes one does, by a lease, and to each webhook by itself, one event at a time and in order, so that
 * none waits for another. An event is sent again until its receiver has taken it, and may come twice: a node that ends between the answer
 * and its row leaves it to the next one.
 */
import type { EventPlace } from '../audit/audit.ts'
import { createLease } from '../lease.ts'
import { beginCourse, type Course, createFollowing, type DeliveryDeps } from './course.ts'
import type { Send } from './send.ts'
import { isActive, isSameProgress, type Webhook } from './webhook.ts'

export type DeliveryState = Readonly<{
  /** Seconds that the oldest event has waited which a webhook has not got yet; absent where another node sends. */
  lag?: number | undefined
  /** Webhooks that were given up. */
  failed: number
}>

/** @param warn told what an operator should know, once for each trouble */
export function createDeliveries(deps: DeliveryDeps, send: Send, warn: (about: object, message: string) => void) {
  const { storage, now } = deps
  const lease = createLease('webhooks', deps)
  const stopping = new AbortController()
  const courses = new Map<string, Course>()
  const troubles = new Set<string>()
  let failedCount = 0
  const follow = createFollowing(deps, { send, stop: stopping.signal, isOurs: lease.isOurs, warn, warnOnce })

  async function step(): Promise<void> {
    if (stopping.signal.aborted) return
    const webhooks = await storage.listWebhooks()
    failedCount = webhooks.filter(({ failedAt }) => failedAt !== undefined).length
    const active = webhooks.filter(isActive)
    for (const [id, { running }] of courses)
      if (running === undefined && !active.some(webhook => webhook.id === id)) courses.delete(id)
    if (active.length === 0 || !(await lease.hold())) return
    const last = await storage.findLastPlace()
    for (const webhook of active) start(webhook, last)
  }

  function start(webhook: Webhook, last: EventPlace | undefined): void {
    const course = courseOf(webhook)
    if (course.running !== undefined || (!course.isUnsaved && course.progress.after?.id === last?.id)) return
    course.running = follow(webhook, course)
      .then(
        () => void troubles.delete(webhook.id),
        err => warnOnce(webhook.id, { err }, 'events for a webhook cannot be sent; it will be tried again'),
      )
      .then(() => {
        course.running = undefined
      })
  }

  function courseOf(webhook: Webhook): Course {
    const known = courses.get(webhook.id)
    if (known !== undefined && (known.running !== undefined || isSameProgress(known.stored, webhook))) return known
    const course = beginCourse(webhook)
    courses.set(webhook.id, course)
    return course
  }

  function warnOnce(trouble: string, about: object, message: string): void {
    if (troubles.has(trouble)) return
    troubles.add(trouble)
    warn(about, message)
  }

  return {
    /** To be called about once a second: begins what there is to do, and waits for no receiver. */
    step,
    /** Resolves when nothing is under way. */
    async settled(): Promise<void> {
      await Promise.all([...courses.values()].map(({ running }) => running))
    },
    state(): DeliveryState {
      const waiting = [...courses.values()].map(({ waitingSince = now() }) => now() - waitingSince)
      return { lag: lease.isOurs() ? Math.max(0, ...waiting) : undefined, failed: failedCount }
    },
    /** Breaks off what is under way, which is sent again later, and lets another node begin at once. */
    async stop(): Promise<void> {
      stopping.abort()
      await Promise.all([...courses.values()].map(({ running }) => running))
      await lease.end()
    },
  }
}
