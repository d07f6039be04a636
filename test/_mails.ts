/** What is in the mails that wait to be sent: their links and codes, made as they are when one is sent. */
import { mailCode } from '../src/mail/code.ts'
import { formatLink, type LinkPurpose, linkLifetimes } from '../src/mail/link.ts'
import type { TestServer } from './_server.ts'

/** Mails that wait, the oldest first. */
export function waitingMails({ deps, clock }: TestServer) {
  return deps.storage.listDueMails(clock.now(), 1000)
}

/** @returns what the newest mail of a purpose has; undefined where it is for nobody */
export async function newestMail(server: TestServer, purpose: LinkPurpose) {
  const { storage, secrets } = server.deps
  const mail = (await waitingMails(server)).findLast(one => one.purpose === purpose)
  if (mail === undefined) throw new Error(`no ${purpose} waits`)
  const user = mail.userId === undefined ? undefined : await storage.findUser(mail.userId)
  const address = mail.address ?? user?.email
  if (address === undefined) return undefined
  const of = { purpose, userId: user?.id, credentialVersion: user?.credentialVersion, address }
  const expiresAt = mail.createdAt + linkLifetimes[purpose]
  const id = mail.about?.challenge_id ?? mail.id
  const token = formatLink({ ...of, id, about: mail.about, expiresAt }, server.deps)
  return {
    mail,
    code: mailCode({ ...of, challengeId: id }, secrets),
    token,
    path: `/mail/${purpose}?token=${token}`,
  }
}
