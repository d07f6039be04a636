/**
 * What has just been done, for the account page to say once: in a cookie that goes with the page that says it. So it stands in no URL, and
 * neither Reload nor Back says it again.
 */
import type { Deps } from '../../oauth/deps.ts'
import { type AccountNotice, type NoticeView, parseAccountNotice } from '../../pages/account.ts'
import type { Context } from '../context.ts'
import { cookieName, cookieValues, setCookie } from './cookies.ts'
import { redirect, type Site } from './pages.ts'

/** Seconds: from what was done to the account page, with the page in between that shows recovery codes. */
const lifetime = 600

type Told = Readonly<{ deps: Pick<Deps, 'config'>; ctx: Context; site: Site }>

/** Leads a browser to the account page. */
export function goToAccount(told: Told, notice: AccountNotice, name?: string): void {
  leaveNotice(told, notice, name)
  redirect(told.ctx, told.site.paths.account)
}

/** @param name of what it was done to, at most some fifty characters */
export function leaveNotice({ deps, ctx }: Omit<Told, 'site'>, notice: AccountNotice, name?: string): void {
  const { issuer } = deps.config
  const value = name === undefined ? notice : `${notice}.${encodeURIComponent(name.toWellFormed())}`
  setCookie(ctx, issuer, noticeCookie(issuer), value, lifetime)
}

/** What was left to be said, which is said by this answer. */
export function takeNotice({ config: { issuer } }: Pick<Deps, 'config'>, ctx: Context): NoticeView | undefined {
  const [value] = cookieValues(ctx, noticeCookie(issuer))
  if (value === undefined) return undefined
  // HEAD shows nothing.
  if (ctx.method === 'GET') setCookie(ctx, issuer, noticeCookie(issuer), '', 0)
  const [text, name] = value.split('.', 2)
  const kind = parseAccountNotice(text)
  return kind && { kind, name: name === undefined ? undefined : decode(name) }
}

/** Before somebody else signs in at this browser. */
export function dropNotice({ config: { issuer } }: Pick<Deps, 'config'>, ctx: Context): void {
  if (cookieValues(ctx, noticeCookie(issuer)).length > 0) setCookie(ctx, issuer, noticeCookie(issuer), '', 0)
}

function noticeCookie(issuer: string): string {
  return cookieName(issuer, 'notice')
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text).slice(0, 64)
  } catch {
    return undefined
  }
}
