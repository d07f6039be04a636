/** What mails ask of a database. */
import type { AuditEvent, EventPlace } from '../audit/audit.ts'
import type { Mail } from './mail.ts'

export type MailStorage = Readonly<{
  /**
   * Puts a mail among those that are to be sent. What it costs is the same for every one.
   *
   * @param event of what it is for
   * @returns false when there are as many as there may be: nothing is written then
   */
  addMail(mail: Mail, event?: AuditEvent): Promise<boolean>
  /**
   * Mails whose time has come at `now`, the one that has waited longest first. One that is to come later than any is ever put off was
   * written by a clock that has been set back since, and has its time too.
   */
  listDueMails(now: number, limit: number): Promise<Mail[]>
  /** Writes when a mail is to be tried again, and why it was not sent. Nothing happens where it is gone. */
  putOffMail(mail: Pick<Mail, 'id' | 'nextAttemptAt' | 'attempts' | 'lastError'>): Promise<void>
  /** Of a mail that was sent, or is given up. False when it is gone already, and then without the event. */
  removeMail(id: string, event?: AuditEvent): Promise<boolean>
  measureMails(): Promise<MailsWaiting>
  /** How far something has read the audit trail; undefined where it has not begun. */
  findTrailReader(name: string): Promise<EventPlace | undefined>
  /**
   * Moves that on, and adds the mails that come of what was read.
   *
   * @param from where it has to be
   * @returns false when it is elsewhere by now, or when half as many mails wait as there may be: room is left for those that people wait for.
   *          Nothing is written then
   */
  moveTrailReader(name: string, from: EventPlace | undefined, to: EventPlace, mails: readonly Mail[]): Promise<boolean>
}>

export type MailsWaiting = Readonly<{
  count: number
  /** When the oldest one was written; absent where none waits. */
  oldestAt?: number | undefined
  /** Of the one that was tried most often; absent where none has failed. */
  lastError?: string | undefined
}>
