/** How pages are sent: their headers, their language, their stylesheet, and who gets a page where a program gets JSON. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Context, Middleware } from 'koa'
import type { OAuthError } from '../../error.ts'
import { errorAnswers } from '../../error.ts'
import { errorPage } from '../../pages/error.ts'
import { pickLanguage } from '../../pages/language.ts'
import type { Frame } from '../../pages/layout.ts'
import { answersUnmodified, contentHash } from '../cache.ts'
import { setDocumentHeaders } from '../headers.ts'

const style = readFileSync(new URL('../../pages/style.css', import.meta.url))
const styleHash = createHash('sha256').update(style).digest('base64url').slice(0, 16)

/** In three sizes, each a PNG. */
const icon = readFileSync(new URL('../../pages/icon.ico', import.meta.url))
const iconTag = `"${contentHash(icon)}"`

/** Nothing but our own stylesheet, our own icon and our own forms; `Referrer-Policy` leaves `Origin` on those. */
const contentSecurityPolicy =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

/** A browser says that it would rather have HTML; a program says nothing, or that anything will do. */
export function wantsPage(ctx: Context): boolean {
  return ctx.accepts('json', 'html') === 'html'
}

/**
 * For the paths of people: what goes wrong there is told by a page.
 *
 * @param issuer a proxy that puts this server below the path of its issuer takes that path off; links have to have it again
 */
export function pagesOf(issuer: string): Middleware {
  const basePath = new URL(issuer).pathname.replace(/\/$/, '')
  return (ctx, next) => {
    ctx.vary('Accept')
    ctx.state.basePath = basePath
    if (wantsPage(ctx)) refuseWithPage(ctx, failure => formatErrorPage(ctx, failure))
    return next()
  }
}

/** A path of this server as browsers see it. */
export function publicPath(ctx: Context, path: string): string {
  return ctx.state.basePath + path
}

/** Sets the page that a refusal is told by, if this is a browser. */
export function refuseWithPage(ctx: Context, format: (failure: OAuthError) => string): void {
  if (!wantsPage(ctx)) return
  ctx.state.refusalPage = (failure: OAuthError) => {
    setPageHeaders(ctx)
    return withBasePath(ctx, format(failure))
  }
}

export function sendPage(ctx: Context, document: string): void {
  setPageHeaders(ctx)
  ctx.body = withBasePath(ctx, document)
}

/** After a POST, so that neither Back nor Reload sends the form again (RFC 9110 §15.4.4). */
export function redirect(ctx: Context, path: string): void {
  ctx.status = 303
  ctx.set('Location', path)
  ctx.body = ''
}

/** Text that somebody typed has no quotation marks by now, so this meets links of ours only. */
function withBasePath(ctx: Context, document: string): string {
  const { basePath } = ctx.state
  return basePath === '' ? document : document.replaceAll(/ (href|action)="\//g, ` $1="${basePath}/`)
}

export function frameOf(ctx: Context, username?: string): Frame {
  return { language: pickLanguage(ctx.headers['accept-language']), styleHash, username }
}

export function styleSheet(ctx: Context): void {
  if (ctx.params.file !== `style.${styleHash}.css`) return
  ctx.set('Cache-Control', 'public, max-age=31536000, immutable')
  ctx.type = 'css'
  ctx.body = style
}

/** Under the name that browsers try by themselves, so it may change; the tag says whether it has. */
export function favicon(ctx: Context): void {
  ctx.set('Cache-Control', 'public, max-age=86400')
  if (answersUnmodified(ctx, iconTag)) return
  ctx.type = 'image/x-icon'
  ctx.body = icon
}

function formatErrorPage(ctx: Context, failure: OAuthError): string {
  const { status } = errorAnswers[failure.code]
  const { requestId } = ctx.state
  return errorPage({ status, requestId, retryAfter: failure.retryAfter }, frameOf(ctx))
}

function setPageHeaders(ctx: Context): void {
  setDocumentHeaders(ctx, contentSecurityPolicy, 'same-origin')
  ctx.vary('Accept-Language')
}
