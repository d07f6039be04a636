/**
 * What becomes of one mail: it is written to be tried again later before it is sent, and removed afterwards. So one that was under way when
 * its node ended comes once more at most, with the id that it had.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { auditEvent } from '../audit/audit.ts'
import type { Observer } from '../observer.ts'
import { composeLetter, type LetterDeps } from './letter.ts'
import { type Mail, maxMailDelay } from './mail.ts'
import type { Sender } from './mail_html.ts'
import type { Sending, Smtp } from './smtp.ts'
import type { MailStorage } from './storage.ts'

export type DeliverDeps = LetterDeps &
  Readonly<{
    storage: MailStorage
    observer: Pick<Observer, 'mailed'>
  }>

/** What a mail is sent by. */
export type Surroundings = Readonly<{
  smtp: Smtp
  sender: Sender
  /** Breaks off what is under way. */
  stop: AbortSignal
  /** Whether a mail is under way here. */
  isRunning: (id: string) => boolean
  /** Told what an operator should know; never an address. */
  warn: (about: object, message: string) => void
  /** The same, but once until a mail was sent again. */
  trouble: (about: object, message: string) => void
  /** A mail was sent. */
  well: () => void
}>

/** Seconds after the first attempt in vain, doubled at each further one up to the most. */
const minPause = 60
/** Seconds after which a mail is given up, and the attempts that this takes at least: while all nodes were off there were none. */
const maxAge = 2 * 86_400
const minAttempts = 10
/** Mails that are put off without an attempt of their own when the server takes none. */
const maxPutOff = 200
/** Milliseconds: about as long as a mail takes, so that one for nobody is gone no sooner than one for somebody. */
const [minIdle, maxIdle] = [50, 500]
/** Characters. */
const maxError = 200

export function createDelivering(deps: DeliverDeps, surroundings: Surroundings) {
  const { storage, observer, now, randomBytes } = deps
  const { smtp, sender, stop, isRunning, warn, trouble, well } = surroundings
  /** Sent or given up, and still there because the database was in trouble: they are only to be removed. */
  const done = new Set<string>()

  async function deliver(mail: Mail): Promise<void> {
    if (done.has(mail.id)) return remove(mail)
    const tried = later(mail)
    await storage.putOffMail(tried)
    const letter = await composeLetter(deps, sender, mail)
    if (letter !== undefined) return settle(tried, await smtp.send(letter, stop))
    await delay(minIdle + (maxIdle - minIdle) * random(), undefined, { signal: stop }).catch(() => {})
    observer.mailed(mail.purpose, 'dropped')
    return remove(mail)
  }

  async function settle(mail: Mail, sending: Sending): Promise<void> {
    switch (sending.kind) {
      case 'sent':
        observer.mailed(mail.purpose, 'sent')
        well()
        return remove(mail)
      case 'refused':
        return giveUp(mail, sending.error)
      case 'stopped':
        return storage.putOffMail({ ...mail, attempts: mail.attempts - 1, nextAttemptAt: now() })
      case 'failed':
        observer.mailed(mail.purpose, 'failed')
        if (sending.isServer) trouble({ why: sending.error }, 'the mail server takes no mails; it will be tried again')
        await keep(mail, sending.error)
        if (sending.isServer) await putOffOthers(sending.error)
    }
  }

  /** All that wait would fare the same: they are not tried one by one. */
  async function putOffOthers(error: string): Promise<void> {
    for (const mail of await storage.listDueMails(now(), maxPutOff)) {
      if (stop.aborted) return
      if (!isRunning(mail.id)) await keep(later(mail), error)
    }
  }

  async function keep(mail: Mail, error: string): Promise<void> {
    const isOver = now() - mail.createdAt >= maxAge && mail.attempts >= minAttempts
    if (isOver) await giveUp(mail, error)
    else await storage.putOffMail({ ...mail, lastError: error.slice(0, maxError) })
  }

  async function giveUp(mail: Mail, error: string): Promise<void> {
    const { id, purpose } = mail
    observer.mailed(purpose, 'given_up')
    warn({ mail: id, purpose, why: error }, 'a mail was given up')
    await remove(mail, `${purpose}: ${error.slice(0, maxError)}`)
  }

  /** @param detail why it was given up */
  async function remove({ id, userId }: Mail, detail?: string): Promise<void> {
    done.add(id)
    const event = detail === undefined ? undefined : auditEvent('mail.given_up', now(), {}, { userId, detail })
    await storage.removeMail(id, event)
    done.delete(id)
  }

  /** After one more attempt: with a pause of its own length, so that not all come at once to a server that is back. */
  function later(mail: Mail): Mail {
    const longest = Math.min(maxMailDelay, minPause * 2 ** Math.min(mail.attempts, 20))
    const pause = Math.round(longest * (0.5 + random() / 2))
    return { ...mail, attempts: mail.attempts + 1, nextAttemptAt: now() + pause }
  }

  const random = () => randomBytes(2).readUInt16BE() / 0xffff

  return deliver
}
