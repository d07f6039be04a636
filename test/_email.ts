/** A server with mails, Alice's app, and the links of her mails as a browser opens them. */
import type { ExecutionContext } from 'ava'
import { ofPage } from './_cookies.ts'
import { type Answer, issuer, type ServerOptions, startServerWithAlice } from './_server.ts'
import { type ReceivedMail, startSmtp } from './_smtp.ts'

export async function startWithMail(t: ExecutionContext, options: ServerOptions = {}) {
  const smtp = await startSmtp(t)
  const server = await startServerWithAlice(t, { ...options, smtp })
  const { access_token: accessToken } = await server.signIn()
  const ask = (path: string, form: Record<string, string> = {}, by = accessToken) =>
    server.post(`/users/me/email${path}`, form, server.bearer(by))
  /** What has come since the last call. */
  async function mailsSent(): Promise<ReceivedMail[]> {
    const before = smtp.received.length
    await server.sendMails()
    return smtp.received.slice(before)
  }
  async function newestMail(): Promise<ReceivedMail> {
    const [mail, ...more] = await mailsSent()
    if (mail === undefined || more.length > 0) throw new Error(`${more.length + Number(mail !== undefined)} mails`)
    return mail
  }
  /** By the code of a mail, as an app does. @returns the mails that follow */
  async function changeTo(email: string) {
    server.clock.advance(60)
    const { body } = await ask('', { email })
    const { code = '' } = await newestMail()
    const answer = await ask('/confirm', { auth_session: body.auth_session, code })
    return { answer, code, authSession: body.auth_session as string, mails: await mailsSent() }
  }
  /** A browser that has opened the link of a mail, with other cookies if there are any. */
  async function openLink(link: string, cookie?: string) {
    const path = new URL(link).pathname
    const opened = await server.request(link.replace(issuer, ''), { headers: ofPage })
    const cookies = [...opened.headers.getSetCookie().map(one => one.split(';')[0]), cookie].filter(Boolean)
    const headers = { ...ofPage, cookie: cookies.join('; ') }
    return {
      opened,
      path,
      show: (): Promise<Answer> => server.request(path, { headers }),
      press: (): Promise<Answer> => server.post(path, {}, headers),
    }
  }
  const alice = async () => (await server.deps.storage.findUser(server.aliceId))!
  return { ...server, smtp, accessToken, ask, mailsSent, newestMail, changeTo, openLink, alice }
}
