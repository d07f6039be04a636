/**
 * What mails say: from what happened to a subject, a text and HTML with the same words, in the language of who reads it. Names that
 * people chose stand in no mail to an address that nobody has proved, and are plain text in all others: nobody sends advertisements
 * by calling themselves so.
 */
import { latchkey } from '../pages/brand.ts'
import { cut } from '../pages/formats.ts'
import type { Language } from '../pages/language.ts'
import { paths } from '../pages/paths.ts'
import { nameUserAgent } from '../pages/user_agents.ts'
import { hasLink, type LinkPurpose, linkLifetimes } from './link.ts'
import type { Mail, MailPurpose } from './mail.ts'
import { formatMailHtml, type MailParts, type Sender } from './mail_html.ts'
import { en, type MailFacts, type MailTexts } from './texts_en.ts'
import { ko } from './texts_ko.ts'

/** What there is to say besides the purpose. */
export type MailGiven = Readonly<{
  mail: Pick<Mail, 'purpose' | 'about' | 'createdAt'>
  language: Language
  /** Of the user whose own address the mail goes to. */
  username?: string | undefined
  /** When that user is to be removed, in seconds since the epoch. */
  deleteAt?: number | undefined
  /** How the app calls itself that it is about. */
  app?: string | undefined
  /** Secret, as is the code. */
  link?: string | undefined
  code?: string | undefined
}>

export type Composed = Readonly<{ subject: string; text: string; html: string }>

const texts: Readonly<Record<Language, MailTexts>> = { en, ko }

/** Characters of a name in a mail. */
const maxName = 48

/** Where the button of a mail leads that has no link of its own. */
const places: Partial<Record<MailPurpose, string>> = { sign_up_known: paths.signIn }

export function composeMail(sender: Sender, given: MailGiven): Composed {
  const { mail, language, link, code } = given
  const { purpose, about = {} } = mail
  const words = texts[language]
  const named = senderNamed(sender)
  const facts: MailFacts = {
    brand: named.brand.name,
    username: given.username && plainName(given.username),
    validFor: hasLink(purpose) ? formatSpan(lifetimeOf(purpose, mail), language) : '',
    at: given.deleteAt === undefined ? undefined : formatMoment(given.deleteAt, language),
    app: given.app && plainName(given.app),
    email: about.email && maskedEmail(about.email),
    formerUsername: about.former_username && plainName(about.former_username),
    factor: about.factor,
    change: about.change,
  }
  const details = detailsOf(given, words)
  const target = link ?? `${sender.issuer}${places[purpose] ?? paths.account}`
  const parts = { words, text: words.purposes[purpose](facts), details, link: target, code }
  return compose(named, language, parts)
}

/** How long an invitation is good its operator says. */
function lifetimeOf(purpose: LinkPurpose, { about, createdAt }: MailGiven['mail']): number {
  return about?.expires_at === undefined ? linkLifetimes[purpose] : Number(about.expires_at) - createdAt
}

/** What an operator sends to see whether mails arrive. */
export function composeTestMail(sender: Sender, language: Language): Composed {
  const words = texts[language]
  const named = senderNamed(sender)
  return compose(named, language, { words, text: words.test(named.brand.name), details: [] })
}

/** Without a name of the operator's own the host says more than ours. */
export function senderNamed({ brand, issuer }: Sender): Sender {
  return { brand: brand.name === latchkey.name ? { ...brand, name: new URL(issuer).host } : brand, issuer }
}

function compose(sender: Sender, language: Language, parts: MailParts): Composed {
  return {
    subject: parts.text.subject,
    text: formatMailText(sender, parts),
    html: formatMailHtml(sender, language, parts),
  }
}

function formatMailText({ brand, issuer }: Sender, { words, text, details, link, code }: MailParts): string {
  const { lines, button, after } = text
  const [what, ...more] = lines
  const blocks = [
    what,
    details.map(([label, value]) => `${label}: ${value}`).join('\n'),
    ...more,
    button !== undefined && `${button}:\n${link}`,
    code !== undefined && `${words.code}\n\n${code}`,
    ...after,
    `-- \n${words.automatic(brand.name)}\n${brand.url ?? issuer}`,
  ]
  return `${blocks.filter(Boolean).join('\n\n')}\n`
}

/** Purposes that say when, where and by what it happened. */
const told: readonly MailPurpose[] = [
  'password_changed',
  'email_changed',
  'email_change_notice',
  'username_changed',
  'factor_changed',
  'new_device',
  'refresh_token_reused',
  'many_wrong_codes',
  'deletion_notice',
]

function detailsOf({ mail, language, app }: MailGiven, words: MailTexts): [string, string][] {
  const { purpose, about = {}, createdAt } = mail
  if (!told.includes(purpose)) return []
  const at = /^\d{1,12}$/.test(about.at ?? '') ? Number(about.at) : createdAt
  const rows: [string, string | undefined][] = [
    [words.when, formatMoment(at, language)],
    [words.device, about.device && deviceName(about.device, words)],
    [words.app, app && plainName(app)],
    [words.network, /^[0-9a-f:./]{2,50}$/i.exec(about.network ?? '')?.[0]],
  ]
  return rows.filter((row): row is [string, string] => Boolean(row[1]))
}

/**
 * A name as a mail has it: one short line, without what a mail program would make a link of. A name of a single word may have dots.
 *
 * @returns undefined where nothing is left
 */
export function plainName(name: string): string | undefined {
  const words = name
    .slice(0, 512)
    .replace(/[\p{C}\p{Default_Ignorable_Code_Point}]/gu, '')
    .split(/\s+/)
    .filter(word => word !== '')
  const isLink = (word: string) => /[/\\]|www\.|\p{L}:./iu.test(word) || (words.length > 1 && /[^.]\.\p{L}/u.test(word))
  return cut(words.filter(word => !isLink(word)).join(' '), maxName) || undefined
}

/** A program may call itself anything: one that is not known is plain text. */
function deviceName(userAgent: string, words: MailTexts): string | undefined {
  const known = nameUserAgent(userAgent)
  if (known !== undefined && 'platform' in known && known.name !== undefined && known.platform !== undefined)
    return words.browserOn(plainName(known.name) ?? '', known.platform)
  // Versions tell its owner nothing.
  return plainName(userAgent.replace(/\/v?[\d.]\S*/g, ''))
}

/** Enough for its owner: the first letter, and the domain. */
export function maskedEmail(email: string): string {
  const [, first, domain] = /^([^\s@])[^\s@]*@([\p{L}\p{N}.-]{1,253})$/u.exec(email) ?? []
  return domain === undefined ? '***' : `${first}***@${domain}`
}

/** Two days are days, less is said by smaller units. @param seconds a whole number of the unit */
function formatSpan(seconds: number, language: Language): string {
  const [value, unit] =
    seconds < 7200
      ? [seconds / 60, 'minute']
      : seconds < 2 * 86_400
        ? [seconds / 3600, 'hour']
        : [seconds / 86_400, 'day']
  return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(
    Math.floor(value as number),
  )
}

/** A mail is read where its clock is not known. Who reads Korean is mostly in Korea; which time it is stands there. */
function formatMoment(at: number, language: Language): string {
  const [locale, timeZone, zone] = language === 'ko' ? ['ko-KR', 'Asia/Seoul', '한국 시간'] : ['en-GB', 'UTC', 'UTC']
  const format = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short', hourCycle: 'h23', timeZone })
  const text = format.format(new Date(at * 1000))
  return language === 'ko' ? `${text} (${zone})` : `${text} ${zone}`
}
