/**
 * Sends the mails that wait: of several nodes one does, by a lease, a few at once, and each by itself, so that none waits for another.
 * Texts, links and codes are made when a mail is sent.
 */
import { createLease, type LeaseStorage } from '../lease.ts'
import { createDelivering, type DeliverDeps } from './deliver.ts'
import type { Mail } from './mail.ts'
import type { Sender } from './mail_html.ts'
import { maxConnections, type Smtp } from './smtp.ts'

export type MailDeps = DeliverDeps & Readonly<{ storage: LeaseStorage }>

export type MailWorker = ReturnType<typeof createMailWorker>

/** @param warn told what an operator should know, once for each trouble; never an address */
export function createMailWorker(
  deps: MailDeps,
  smtp: Smtp,
  sender: Sender,
  warn: (about: object, message: string) => void,
) {
  const { storage, now } = deps
  const lease = createLease('mails', deps)
  const stopping = new AbortController()
  const running = new Map<string, Promise<void>>()
  let isTroubled = false
  let filling = Promise.resolve()

  function trouble(about: object, message: string): void {
    if (!isTroubled) warn(about, message)
    isTroubled = true
  }

  const deliver = createDelivering(deps, {
    smtp,
    sender,
    stop: stopping.signal,
    isRunning: id => running.has(id),
    warn,
    trouble,
    well() {
      isTroubled = false
    },
  })

  /** One after another, so that no mail is begun twice. */
  function fill(): Promise<void> {
    filling = filling.then(begin, begin)
    return filling
  }

  async function begin(): Promise<void> {
    if (stopping.signal.aborted) return
    const due = await storage.listDueMails(now(), 2 * maxConnections)
    if ((due.length === 0 && running.size === 0) || !(await lease.hold())) return
    for (const mail of due) {
      if (running.size >= maxConnections || stopping.signal.aborted) return
      if (!running.has(mail.id)) run(mail)
    }
  }

  function run(mail: Mail): void {
    const end = deliver(mail).then(
      () => true,
      err => {
        trouble({ err }, 'mails cannot be sent; it will be tried again')
        return false
      },
    )
    running.set(
      mail.id,
      end.then(isSettled => {
        running.delete(mail.id)
        // What waits goes on at once, but not against a database in trouble.
        if (isSettled) fill().catch(() => {})
      }),
    )
  }

  return {
    /** To be called about once a second: begins what there is to do, and waits for no server. */
    step: fill,
    /** Resolves when nothing is under way. */
    async settled(): Promise<void> {
      do {
        await Promise.all(running.values())
        await filling.catch(() => {})
      } while (running.size > 0)
    },
    /** Breaks off what is under way, which is sent again later, and lets another node begin at once. */
    async stop(): Promise<void> {
      stopping.abort()
      await filling.catch(() => {})
      await Promise.all(running.values())
      smtp.close()
      await lease.end()
    },
  }
}
