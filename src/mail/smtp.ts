/**
 * Hands one mail to a mail server: RFC 5321, RFC 6409. To one recipient, whose address is never read as anything else; encrypted unless the
 * server is on this machine; within bounded time. The only file that knows nodemailer, loaded only where mail is set up.
 */
import { createTransport } from 'nodemailer'
import { readEmail } from '../users/email.ts'
import type { SmtpServer } from './smtp_server.ts'

/** A mail with its texts. Both parts hold secrets: never stored, never logged. */
export type Letter = Readonly<{
  /** The same each time that the same mail is sent, so that who gets it twice can tell. */
  id: string
  address: string
  language: string
  subject: string
  text: string
  html: string
}>

export type Sending = Readonly<
  | { kind: 'sent' }
  /** That address takes no mail, and will not. */
  | { kind: 'refused'; error: string; reply?: string | undefined }
  /** @property isServer whether any other mail would have fared the same */
  | { kind: 'failed'; error: string; reply?: string | undefined; isServer: boolean }
  /** Broken off by this side. */
  | { kind: 'stopped' }
>

export type Smtp = Readonly<{
  send: (letter: Letter, stop: AbortSignal) => Promise<Sending>
  /** Connects and signs in, and sends nothing. @returns what went wrong, undefined for nothing */
  check: () => Promise<Extract<Sending, { kind: 'failed' }> | undefined>
  /** Ends what is under way too. */
  close: () => void
}>

export type SmtpSettings = Readonly<{
  server: SmtpServer
  /** Without a name it is an address alone. */
  from: Readonly<{ name?: string | undefined; address: string }>
  /** Whose mails these are: its host stands in their ids, and is what this side calls itself. */
  issuer: string
}>

/** Milliseconds. */
export const smtpLimits = { resolve: 5000, connect: 10_000, greet: 10_000, answer: 15_000, all: 30_000 }

/** Mails under way at once, each with a connection of its own. */
export const maxConnections = 3
/** Milliseconds that a connection is kept for the next mail. */
const idleTimeout = 10_000
/** Bytes of one answer of the server. */
const maxAnswer = 16_384
/** Characters of it that are kept for people. */
const maxReply = 300

export function createSmtp({ server, from, issuer }: SmtpSettings, limits = smtpLimits): Smtp {
  const { hostname } = new URL(issuer)
  const { credentials } = server
  const isName = hostname.includes('.') && /[a-z]$/i.test(hostname)
  const options = {
    host: server.host,
    port: server.port,
    secure: server.tls === 'implicit',
    requireTLS: server.tls === 'required',
    // A relay on this machine may have a certificate that its package made up; nobody is between.
    ...(server.tls === 'optional' && { tls: { rejectUnauthorized: false } }),
    // Who set a user up means it: it is no silent success that the server asks for none.
    ...(credentials && { auth: { user: credentials.user, pass: credentials.password }, forceAuth: true }),
    ...(isName && { name: hostname }),
    dnsTimeout: limits.resolve,
    connectionTimeout: limits.connect,
    greetingTimeout: limits.greet,
    socketTimeout: limits.answer,
    socketCloseTimeout: 1000,
    maxResponseSize: maxAnswer,
    disableFileAccess: true,
    disableUrlAccess: true,
    logger: false,
  }
  // A connection that the server has closed since is no reason to put a mail off; nothing of it was sent then.
  const transport = createTransport({ ...options, pool: true, maxConnections, maxRequeues: 1, idleTimeout })

  return {
    async send({ id, address, language, subject, text, html }, stop) {
      // A string would be read as a list of addresses, and so may what is in an address that is none.
      const recipient = readEmail(address).text
      if (recipient === undefined) return { kind: 'refused', error: 'it is not one e-mail address' }
      const limit = AbortSignal.timeout(limits.all)
      try {
        await transport.sendMail({
          from: { name: from.name ?? '', address: from.address },
          to: { name: '', address: recipient },
          subject,
          text,
          html,
          messageId: `<${id}@${hostname.replace(/^\[/, '[IPv6:')}>`,
          headers: {
            // RFC 3834 §5, and what Exchange goes by: no robot is to answer.
            'Auto-Submitted': 'auto-generated',
            'X-Auto-Response-Suppress': 'All',
            'Content-Language': language,
          },
          signal: AbortSignal.any([stop, limit]),
        })
        return { kind: 'sent' }
      } catch (error) {
        if (stop.aborted) return { kind: 'stopped' }
        if (limit.aborted)
          return { kind: 'failed', error: `it took longer than ${limits.all / 1000} seconds`, isServer: false }
        return sendingOf(error as SmtpError, server)
      }
    },

    async check() {
      const one = createTransport(options)
      const limit = AbortSignal.timeout(limits.all)
      const late = new Promise<never>((_resolve, reject) => {
        limit.addEventListener('abort', () => reject(Object.assign(new Error(), { code: 'ETIMEDOUT' })))
      })
      try {
        await Promise.race([one.verify(), late])
        return undefined
      } catch (error) {
        const sending = sendingOf(error as SmtpError, server)
        return { kind: 'failed', error: sending.error, reply: sending.reply, isServer: true }
      } finally {
        one.close()
      }
    },

    close: () => transport.close({ force: true }),
  }
}

/** What nodemailer throws. */
type SmtpError = Error &
  Readonly<{
    code?: string
    /** What happened first, such as ECONNREFUSED. */
    originalCode?: string
    syscall?: string
    timeoutType?: string
    command?: string
    /** What the server said last, which may hold the address. */
    response?: string
    responseCode?: number
  }>

/**
 * What a failure means. Its texts are ours, with the numbers of the server's answer and not its words: those may have the address in
 * them, and these are logged.
 */
function sendingOf(error: SmtpError, server: SmtpServer) {
  const { code, originalCode, command, response, responseCode = 0 } = error
  const enhanced = /^\d{3}[ -](\d\.\d{1,3}\.\d{1,3})\b/.exec(response ?? '')?.[1]
  const numbers = responseCode === 0 ? '' : ` (${[responseCode, enhanced].filter(Boolean).join(' ')})`
  const reply = response?.slice(0, maxReply)
  if (command === 'RCPT TO' && isFinal(responseCode, enhanced))
    return { kind: 'refused', error: `the mail server refuses the address${numbers}`, reply } as const
  const failed = (text: string, isServer: boolean) =>
    ({ kind: 'failed', error: `${text}${numbers}`, reply, isServer }) as const
  if (code === 'EAUTH' || code === 'ENOAUTH')
    return failed(
      numbers === '' ? 'it offers no way to sign in that we know' : 'it does not take the user and password',
      true,
    )
  if (code === 'EDNS') return failed(`the name ${server.host} has no address`, true)
  if (code === 'ETLS') return failed(`there is no safe connection: ${tlsProblem(error)}`, true)
  if (code === 'ETIMEDOUT') {
    const isServer = error.timeoutType !== 'SOCKET_TIMEOUT'
    return failed(
      error.timeoutType === 'CONNECT_TIMEOUT' ? 'it cannot be reached in time' : 'it does not answer in time',
      isServer,
    )
  }
  if (code === 'ESOCKET' && (error.syscall === 'connect' || originalCode === 'ECONNREFUSED'))
    return failed(`it cannot be reached: ${originalCode ?? 'no connection'}`, true)
  if (code === 'ESOCKET' && /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_|DEPTH_|SELF_|HOSTNAME_)/.test(originalCode ?? ''))
    return failed(`there is no safe connection: ${tlsProblem(error)}`, true)
  if (command === 'RCPT TO') return failed('the mail server does not take the address now', false)
  if (command === 'MAIL FROM') return failed('it does not take mails from that sender', true)
  if (command === 'DATA') return failed('it does not take the mail', false)
  if (responseCode !== 0) return failed('it refuses the connection', true)
  return failed(`the connection was lost: ${originalCode ?? code ?? error.name}`, false)
}

/**
 * Whether an address is refused for good, RFC 5321 §4.2.1: not where the trouble is that this side may not send there, which an operator can
 * mend (RFC 3463 §3.8, RFC 4954 §6).
 */
function isFinal(replyCode: number, enhanced: string | undefined): boolean {
  if (replyCode < 500) return false
  if (enhanced !== undefined) return /^5\.[0126]\./.test(enhanced)
  return [550, 551, 552, 553].includes(replyCode)
}

function tlsProblem({ message, originalCode }: SmtpError): string {
  return /STARTTLS/.test(message) ? 'it does not offer STARTTLS' : (originalCode ?? 'TLS fails')
}
