/** Sign-ups for tests: the mails that wait are opened as the one who gets them would. */

import { mailCode } from '../src/mail/code.ts'
import { formatLink, hasLink, linkLifetimes } from '../src/mail/link.ts'
import type { Mail } from '../src/mail/mail.ts'
import { waitingMails } from './_mails.ts'
import { type Answer, type ServerOptions, startServer, type TestContext, type TestServer } from './_server.ts'

export const address = 'erin@example.com'
export const chosen = { username: 'erin', password: 'nine boats on a slow river' }

/** A server on which people may sign up, with the public client `app` that may let them. */
export async function startSignUp(t: TestContext, { oauth, ...options }: ServerOptions = {}) {
  const server = await startServer(t, { ...options, oauth: { hasMail: true, signUp: true, ...oauth } })
  if (options.beside === undefined) await server.addClient({ signUp: true })
  return server
}

export function codeOf({ deps }: TestServer, { id, about, address = '' }: Mail): string {
  return mailCode({ challengeId: about?.challenge_id ?? id, purpose: 'sign_up', address }, deps.secrets)
}

/** What the link of a mail has as its token. */
export function tokenOf({ deps, clock }: TestServer, { id: own, purpose, address, about }: Mail): string {
  if (!hasLink(purpose)) throw new Error(`${purpose} has no link`)
  const expiresAt = clock.now() + linkLifetimes[purpose]
  const { challenge_id: id = own, ...rest } = about ?? {}
  return formatLink({ id, purpose, address, about: rest, expiresAt }, deps)
}

/** Asks for the mail in the app. @returns what the app holds then, and the code of the mail */
export async function beginSignUp(server: TestServer, params: Record<string, string> = {}) {
  const answer = await server.post('/sign-up', { client_id: 'app', email: address, ...params })
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body))
  const mails = await waitingMails(server)
  const mail = mails.findLast(({ address: of }) => of === (params.email ?? address).trim())!
  const proof = { auth_session: String(answer.body.auth_session), code: codeOf(server, mail) }
  return { proof, mail, answer }
}

export function confirmSignUp(server: TestServer, params: Record<string, string>): Promise<Answer> {
  return server.post('/sign-up/confirm', { client_id: 'app', ...chosen, ...params })
}
