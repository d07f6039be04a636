/** What of the account page is about devices: where somebody is signed in, and how that ends. */
import { cut, formatInstant, formatNumber, formatTimeAgo } from './formats.ts'
import { attributes, type Content, type Html, html } from './html.ts'
import type { Language } from './language.ts'
import { type Frame, formatPage, hidden, person } from './layout.ts'
import { accountPath, endSessionsPath } from './paths.ts'
import { type Texts, texts } from './texts.ts'
import { nameUserAgent } from './user_agents.ts'

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

export type DevicesView = Readonly<{
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
}>

/** So many that a page stays below 20 KB, whatever the devices call themselves. */
const devicesPerPage = 8
/** Characters. What devices call themselves has no other limit than that of a request. */
const maxName = 40

export function devicesSection(view: DevicesView, frame: Frame): Html {
  const page = texts[frame.language].accountPage
  const isAll = view.cursor === undefined && view.next === undefined
  const part = partOf(view)
  return html`<section aria-labelledby="devices">
<h2 id="devices">${page.devices}</h2>
<p class="lede">${page.devicesLede}</p>
<ul class="devices">
${part.shown.map((device, i) => deviceItem(device, i, view, frame))}
</ul>
${(view.devices.length > devicesPerPage || !isAll) && pager(view, part, frame)}
${
  (view.devices.length > 1 || !isAll) &&
  html`<p class="row"><a class="button" href="${endSessionsPath(frame.paths, 'others')}">${page.others}</a><a class="button danger" href="${endSessionsPath(frame.paths, 'all')}">${page.all}</a></p>`
}
</section>`
}

type Part = Readonly<{ start: number; lastStart: number; shown: readonly DeviceView[] }>

/** A start beyond the end, as after signing out the devices of the last page, shows the last page. */
function partOf(view: DevicesView): Part {
  const lastStart = Math.max(0, Math.ceil(view.devices.length / devicesPerPage) - 1) * devicesPerPage
  const asked = Number.isSafeInteger(view.start) ? (view.start ?? 0) : 0
  const start = Math.min(Math.max(0, asked - (asked % devicesPerPage)), lastStart)
  return { start, lastStart, shown: inOrder(view).slice(start, start + devicesPerPage) }
}

/** This device first, then the one that was seen last. */
function inOrder({ devices, currentId }: DevicesView): DeviceView[] {
  return devices.toSorted(
    (a, b) => Number(b.id === currentId) - Number(a.id === currentId) || b.lastSeenAt - a.lastSeenAt,
  )
}

function pager(view: DevicesView, { start, lastStart, shown }: Part, { paths, language }: Frame): Html {
  const page = texts[language].accountPage
  const number = (value: number) => formatNumber(value, language)
  const isAll = view.cursor === undefined && view.next === undefined
  const before = view.cursor === undefined ? undefined : paths.account
  const after = view.next === undefined ? undefined : accountPath(paths, 0, view.next)
  const previous = start > 0 ? accountPath(paths, start - devicesPerPage, view.cursor) : before
  const next = start < lastStart ? accountPath(paths, start + devicesPerPage, view.cursor) : after
  return html`<nav class="pages" aria-label="${page.pages}">
${previous !== undefined && html`<a href="${previous}" rel="prev">${page.previous}</a>`}
<span>${isAll && page.range(number(start + 1), number(start + shown.length), number(view.devices.length))}</span>
${next !== undefined && html`<a href="${next}" rel="next">${page.next}</a>`}
</nav>`
}

/** A line that says which one this is, and all that is known of it for who wants to know. */
function deviceItem(one: DeviceView, index: number, view: DevicesView, { language, paths }: Frame): Html {
  const words = texts[language]
  const page = words.accountPage
  const isCurrent = one.id === view.currentId
  const agent = describeUserAgent(one.userAgent, words)
  return html`<li${attributes({ 'aria-current': isCurrent && 'true' })}>
<details>
<summary><span class="name" id="device${index}">${person(deviceName(one, language))}</span>
<span class="app">${one.app === undefined ? page.thisWebsite : person(cut(one.app, maxName))}</span>
<span class="place">${one.ip && cut(one.ip, maxName)}</span>
<span class="${isCurrent ? 'badge' : 'ago'}">${isCurrent ? page.thisDevice : formatTimeAgo(one.lastSeenAt, view.now, language)}</span></summary>
<dl>
${one.device !== undefined && agent !== undefined && fact(page.program, person(agent))}
${fact(page.signedIn, formatInstant(one.createdAt, language))}
${fact(page.lastSeen, formatInstant(one.lastSeenAt, language))}
</dl>
</details>
<form method="post" action="${paths.endSessions}">${hidden('session', one.id)}<button class="quiet" id="end${index}" aria-labelledby="end${index} device${index}">${words.signOut}</button></form>
</li>`
}

/** As its user knows it: by the name that an app gives it, or by the program. */
export function deviceName(
  { device, userAgent }: Pick<DeviceView, 'device' | 'userAgent'>,
  language: Language,
): string {
  const words = texts[language]
  return cut(device?.trim() || describeUserAgent(userAgent, words) || words.accountPage.unknownDevice, maxName)
}

/** Programs that are known by what they are; any other in its own words. */
function describeUserAgent(userAgent: string | undefined, { accountPage: page }: Texts): string | undefined {
  if (userAgent === undefined) return undefined
  const known = nameUserAgent(userAgent)
  if (known === undefined) return cut(userAgent, maxName)
  if ('madeWith' in known) return page.programOf(known.madeWith)
  const { name, platform } = known
  if (name === undefined) return page.appOn(platform)
  return platform === undefined ? cut(name, maxName) : page.browserOn(cut(name, maxName), platform)
}

function fact(name: string, value: Content): Html {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`
}

export type EndSessionsView = Readonly<{ username: string; scope: 'others' | 'all' }>

/** Asks before many are signed out at once. Posts `scope`. */
export function endSessionsPage({ username, scope }: EndSessionsView, frame: Frame): string {
  const page = texts[frame.language].endSessionsPage
  const { title, lede, go } = page[scope]
  return formatPage(
    { ...frame, username },
    {
      title,
      width: 'narrow',
      content: html`<h1>${title}</h1>
<p class="lede">${lede}</p>
<form class="row" method="post" action="${frame.paths.endSessions}">
${hidden('scope', scope)}
<button class="danger">${go}</button>
<a class="button" href="${frame.paths.account}">${page.cancel}</a>
</form>`,
    },
  )
}
