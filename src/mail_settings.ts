/** The settings about mails, and about what needs them, for the list of `config.ts`. */
import { type MailPurpose, notices } from './mail/mail.ts'
import type { SmtpServer } from './mail/smtp_server.ts'
import { languages } from './pages/language.ts'
import { isLoopbackHost, parseHost, parseList, parseSwitch } from './setting_values.ts'
import { readEmail } from './users/email.ts'

export type MailSettings = Readonly<{
  smtp: SmtpServer
  from: MailFrom
}>

/** Who mails come from. */
export type MailFrom = Readonly<{ name?: string | undefined; address: string }>

export const mailSettings = {
  LATCHKEY_SMTP_URL: {
    default: '',
    takes: 'smtp://USER:PASSWORD@HOST:PORT, or smtps:// where the connection begins with TLS',
    // A URL can hold a password.
    secret: true,
    parse: parseSmtpUrl,
  },
  LATCHKEY_MAIL_FROM: {
    default: '',
    takes: 'an address such as accounts@example.com, or one with a name: Example <accounts@example.com>',
    parse: parseFrom,
  },
  LATCHKEY_MAIL_LANGUAGE: {
    default: 'en',
    takes: languages.join(', '),
    parse: (text: string) => languages.find(language => language === text),
  },
  LATCHKEY_NOTICES: {
    default: 'all',
    takes: `all, none, or names separated by commas: ${notices.join(', ')}`,
    parse: parseNotices,
  },
  LATCHKEY_SIGN_UP: { default: 'off', takes: 'on or off', parse: parseSwitch },
} as const

/** RFC 8314 §3: TLS from the first byte at port 465; else STARTTLS, which is insisted on but for a server on this machine. */
function parseSmtpUrl(text: string): SmtpServer | undefined {
  const url = /^smtps?:\/\/[^\s\\]+$/.test(text) ? URL.parse(text) : null
  if (url === null || !/^\/?$/.test(url.pathname) || url.search !== '' || url.hash !== '') return undefined
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const [user, password] = [decode(url.username), decode(url.password)]
  if (parseHost(host) === undefined || user === undefined || password === undefined) return undefined
  if ((user === '') !== (password === '')) return undefined
  const isTls = url.protocol === 'smtps:'
  return {
    host,
    port: url.port === '' ? (isTls ? 465 : 587) : Number(url.port),
    tls: isTls ? 'implicit' : isLoopbackHost(host) ? 'optional' : 'required',
    ...(user !== '' && { credentials: { user, password } }),
  }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function parseFrom(text: string): MailFrom | undefined {
  const [, name, inBrackets] = /^([^<>"\p{Cc}]{1,100})<([^<>\s]+)>$/u.exec(text) ?? []
  const { text: address } = readEmail(inBrackets ?? text)
  if (address === undefined) return undefined
  return name === undefined ? { address } : { name: name.trim(), address }
}

function parseNotices(text: string): readonly MailPurpose[] | undefined {
  if (text === 'all') return notices
  if (text === 'none') return []
  return parseList(text, item => notices.find(notice => notice === item))
}
