/** The account page: who I am, how I sign in, where I am signed in, and what is kept of me. */
import { type DeviceView, devicesSection } from './devices.ts'
import { type FactorView, securitySection } from './factors.ts'
import { cut } from './formats.ts'
import { type Content, type Html, html } from './html.ts'
import type { Language } from './language.ts'
import { type Frame, formatPage, notice, person } from './layout.ts'
import { type Row, rowList } from './rows.ts'
import { type Texts, texts } from './texts.ts'

/** What the page can say has just been done. */
export const accountNotices = [
  'profile_saved',
  'username_changed',
  'password_changed',
  'session_ended',
  'others_ended',
  'nothing_ended',
  'factor_added',
  'factor_renamed',
  'factor_removed',
  'factor_gone',
  'too_many_factors',
] as const
export type AccountNotice = (typeof accountNotices)[number]

export function parseAccountNotice(text: unknown): AccountNotice | undefined {
  return accountNotices.find(one => one === text)
}

/** What has been done, and the name of what it was done to, where there is one. */
export type NoticeView = Readonly<{ kind: AccountNotice; name?: string | undefined }>

export type AccountView = Readonly<{
  username: string
  fullName?: string | undefined
  email?: string | undefined
  /** Whether its user has proved it; undefined where no mails are sent. */
  isEmailVerified?: boolean | undefined
  /** Of the pages; undefined for what the browser asks for. */
  language?: Language | undefined
  /** In the order in which they came. */
  factors: readonly FactorView[]
  /** Whether there are passkeys here. */
  hasPasskeys?: boolean | undefined
  /** The live sessions from one sign-in back, the last seen first. */
  devices: readonly DeviceView[]
  /** The id of the session that asks. */
  currentId: string
  /** How many of these devices to skip, as in the query of the URL. */
  start?: number | undefined
  /** Where these devices begin, if not with the newest; and where more of them begin. */
  cursor?: string | undefined
  next?: string | undefined
  now: number
  notice?: NoticeView | undefined
}>

/** Characters: of what somebody is called, and of a device. */
const maxShown = 256
const maxName = 40

export function accountPage(view: AccountView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.accountPage
  return formatPage(
    { ...frame, username: view.username },
    {
      title: words.account,
      width: 'wide',
      content: html`<h1>${words.account}</h1>
${view.notice && noticeOf(view.notice, words)}
${section('profile', page.profile, profileRows(view, frame))}
${securitySection(view.factors, view.hasPasskeys === true, view.now, frame)}
${devicesSection(view, frame)}
${section('data', page.data, dataRows(frame))}`,
    },
  )
}

function noticeOf({ kind, name }: NoticeView, { accountPage: page }: Texts): Html {
  return notice(
    kind === 'session_ended' && name !== undefined ? page.deviceEnded(person(cut(name, maxName))) : page.notice[kind],
  )
}

/** Nothing where there is nothing in it. */
function section(id: string, title: string, rows: readonly Row[]): Content {
  return (
    rows.length > 0 &&
    html`<section aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
${rowList(rows)}
</section>`
  )
}

/** Who somebody is: a row for each thing that can be known, and changed. */
function profileRows(view: AccountView, { language, paths }: Frame): Row[] {
  const { username, fullName, email, isEmailVerified, language: chosen } = view
  const words = texts[language]
  const page = words.editProfilePage
  const { change } = words.accountPage
  const edit = { href: paths.editProfile, label: change }
  const name = fullName?.trim() ? person(cut(fullName, maxShown)) : undefined
  const rows: Row[] = [
    {
      id: 'username',
      label: words.username,
      value: person(username),
      action: { href: paths.changeUsername, label: change },
    },
    { id: 'full-name', label: words.fullName, value: name, action: edit },
  ]
  const address = email?.trim() ? person(cut(email, maxShown)) : undefined
  if (isEmailVerified !== undefined) {
    const state = isEmailVerified ? words.emailPage.isVerified : words.emailPage.isUnverified
    const hint = address && { hint: state }
    rows.push({
      id: 'email',
      label: words.email,
      value: address,
      ...hint,
      action: { href: paths.email, label: change },
    })
  } else if (address !== undefined) rows.push({ id: 'email', label: words.email, value: address })
  const ofPages = chosen === undefined ? page.browserLanguage : texts[chosen].language
  rows.push({ id: 'language', label: page.language, value: ofPages, action: edit })
  return rows
}

/** What somebody can have of all this, and how all of it ends. */
function dataRows({ language, paths }: Frame): Row[] {
  const words = texts[language]
  const page = words.editProfilePage
  return [
    {
      id: 'export',
      label: words.accountPage.copy,
      hint: page.dataLede,
      action: { href: paths.exportAccount, label: words.accountPage.download },
    },
    {
      id: 'delete',
      label: words.accountPage.account,
      hint: page.deleteLede,
      action: { href: paths.deleteAccount, label: words.accountPage.delete },
    },
  ]
}
