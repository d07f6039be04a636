/** The account page: who I am, where I am signed in, and how to end it. */
import { type FactorView, factorsSection } from './factors.ts'
import { cut, formatAgo, formatInstant, formatNumber, parseUserAgent } from './formats.ts'
import { attributes, type Content, type Html, html } from './html.ts'
import { type Frame, formatPage, hidden, notice, person } from './layout.ts'
import { accountPath, type Paths } from './paths.ts'
import { type Texts, texts } from './texts.ts'

/** What the page can say has just been done, as it stands in the query of its URL. */
export const accountNotices = [
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

/** A session as its user sees it. Instants are seconds since the epoch. */
export type DeviceView = Readonly<{
  /** Of the session. */
  id: string
  /** What the client is called; none for a sign-in at this website. */
  app?: string | undefined
  /** What the app calls the device. */
  device?: string | undefined
  ip?: string | undefined
  userAgent?: string | undefined
  createdAt: number
  lastSeenAt: number
}>

export type AccountView = Readonly<{
  username: string
  fullName?: string | undefined
  email?: string | undefined
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
  notice?: AccountNotice | undefined
}>

/** So many that a page stays below 20 KB, whatever the devices call themselves. */
const devicesPerPage = 8

export function accountPage(view: AccountView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.accountPage
  return formatPage(
    { ...frame, username: view.username },
    {
      title: words.account,
      width: 'wide',
      content: html`<h1>${words.account}</h1>
${view.notice && notice(page.notice[view.notice])}
<dl class="facts">
${fact(words.username, person(view.username))}
${view.fullName?.trim() && fact(words.fullName, person(cut(view.fullName, 256)))}
${view.email?.trim() && fact(words.email, person(cut(view.email, 256)))}
</dl>
<p><a class="button" href="${frame.paths.editProfile}">${words.editProfilePage.title}</a></p>
${devicesSection(view, frame, words)}
${factorsSection(view.factors, view.hasPasskeys === true, view.now, frame)}
<section aria-labelledby="password">
<h2 id="password">${words.password}</h2>
<p class="lede">${page.passwordLede}</p>
<p><a class="button" href="${frame.paths.password}">${words.changePassword}</a></p>
</section>`,
    },
  )
}

function devicesSection(view: AccountView, frame: Frame, words: Texts): Html {
  const { paths } = frame
  const page = words.accountPage
  const number = (value: number) => formatNumber(value, frame.language)
  const count = view.devices.length
  const isAll = view.cursor === undefined && view.next === undefined
  // A start beyond the end, as after signing out the devices of the last page, shows the last page.
  const lastStart = Math.max(0, Math.ceil(count / devicesPerPage) - 1) * devicesPerPage
  const asked = Number.isSafeInteger(view.start) ? (view.start ?? 0) : 0
  const start = Math.min(Math.max(0, asked - (asked % devicesPerPage)), lastStart)
  const previous =
    start > 0
      ? accountPath(paths, start - devicesPerPage, view.cursor)
      : view.cursor === undefined
        ? undefined
        : paths.account
  const next =
    start < lastStart
      ? accountPath(paths, start + devicesPerPage, view.cursor)
      : view.next === undefined
        ? undefined
        : accountPath(paths, 0, view.next)
  const shown = inOrder(view).slice(start, start + devicesPerPage)
  return html`<section aria-labelledby="devices">
<h2 id="devices">${page.devices}</h2>
<p class="lede">${page.devicesLede}</p>
<ul class="devices">
${shown.map((device, i) => deviceItem(device, i, view, frame, words))}
</ul>
${
  (count > devicesPerPage || !isAll) &&
  html`<nav class="pages" aria-label="${page.pages}">
${previous !== undefined && html`<a href="${previous}" rel="prev">${page.previous}</a>`}
<span>${isAll && page.range(number(start + 1), number(start + shown.length), number(count))}</span>
${next !== undefined && html`<a href="${next}" rel="next">${page.next}</a>`}
</nav>`
}
${
  (count > 1 || !isAll) &&
  html`<div class="ends">
${endForm('others', page.others, page.othersHint, paths)}
${endForm('all', page.all, page.allHint, paths)}
</div>`
}
</section>`
}

/** This device first, then the one that was seen last. */
function inOrder({ devices, currentId }: AccountView): DeviceView[] {
  return devices.toSorted(
    (a, b) => Number(b.id === currentId) - Number(a.id === currentId) || b.lastSeenAt - a.lastSeenAt,
  )
}

// What devices call themselves has no other limit than that of a request.
const maxName = 48

function deviceItem(
  one: DeviceView,
  index: number,
  { currentId, now }: AccountView,
  { language, paths }: Frame,
  words: Texts,
): Html {
  const page = words.accountPage
  const agent = describeUserAgent(one.userAgent, words)
  const name = cut(one.device?.trim() || agent || page.unknownDevice, maxName)
  const current = one.id === currentId
  return html`<li${attributes({ 'aria-current': current && 'true' })}>
<h3><span id="device${index}">${person(name)}</span>${current && html` <span class="badge">${page.thisDevice}</span>`}</h3>
${one.device !== undefined && agent !== undefined && html`<p class="agent">${person(agent)}</p>`}
<dl>
${fact(page.app, one.app === undefined ? page.thisWebsite : person(cut(one.app, maxName)))}
${one.ip !== undefined && fact(page.ip, cut(one.ip, maxName))}
${fact(page.signedIn, formatInstant(one.createdAt, language))}
${fact(page.lastSeen, html`${formatInstant(one.lastSeenAt, language)} <span class="ago">${formatAgo(one.lastSeenAt, now, language) ?? page.justNow}</span>`)}
</dl>
<form method="post" action="${paths.endSessions}">${hidden('session', one.id)}<button id="end${index}" aria-labelledby="end${index} device${index}">${words.signOut}</button></form>
</li>`
}

/** A browser by name; any other program in its own words. */
function describeUserAgent(userAgent: string | undefined, words: Texts): string | undefined {
  if (userAgent === undefined) return undefined
  const known = parseUserAgent(userAgent)
  return known === undefined ? cut(userAgent, maxName) : words.accountPage.browserOn(known.browser, known.platform)
}

function endForm(scope: 'others' | 'all', label: string, hint: string, paths: Paths): Html {
  const hintId = `${scope}-hint`
  return html`<form method="post" action="${paths.endSessions}">${hidden('scope', scope)}<button${attributes({ class: scope === 'all' && 'danger', 'aria-describedby': hintId })}>${label}</button> <p class="hint" id="${hintId}">${hint}</p></form>`
}

function fact(name: string, value: Content): Html {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`
}
