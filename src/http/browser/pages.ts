/** How pages are sent: their headers, their language, their stylesheet, and who gets a page where a program gets JSON. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { OAuthError } from '../../error.ts'
import { type Brand, brandStyle, type Logo } from '../../pages/brand.ts'
import { errorPage } from '../../pages/error.ts'
import { pickLanguage } from '../../pages/language.ts'
import type { Frame } from '../../pages/layout.ts'
import { pathsBelow } from '../../pages/paths.ts'
import { answersUnmodified, contentHash } from '../cache.ts'
import type { Context } from '../context.ts'
import { errorAnswers } from '../error_answers.ts'
import { setDocumentHeaders } from '../headers.ts'

const style = readFileSync(new URL('../../pages/style.css', import.meta.url), 'utf8')

/** As browsers run it: no page needs it for anything but passkeys, and what is a comfort. */
const script = readFileSync(new URL('../../pages/pages.js', import.meta.url))
const scriptHash = hashOf(script)

/** In a URL. */
function hashOf(file: Buffer | string): string {
  return createHash('sha256').update(file).digest('base64url').slice(0, 16)
}

/** In three sizes, each a PNG. */
const icon = readFileSync(new URL('../../pages/icon.ico', import.meta.url))
const iconTag = `"${contentHash(icon)}"`

/**
 * Nothing but our own files and our own forms; the script asks this server what to ask an authenticator. `Referrer-Policy` leaves `Origin`
 * on the forms.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "connect-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** A browser says that it would rather have HTML; a program says nothing, or that anything will do. */
export function wantsPage(ctx: Context): boolean {
  return ctx.accepts('json', 'html') === 'html'
}

/** What pages have of this server. */
export type Site = ReturnType<typeof createSite>

/** @param issuer a proxy that puts this server below the path of its issuer takes that path off; links have to have it again */
export function createSite(issuer: string, brand: Brand) {
  const basePath = new URL(issuer).pathname.replace(/\/$/, '')
  const paths = pathsBelow(basePath)
  // The colours of the brand are in the stylesheet, as no page may have any in itself.
  const branded = brandStyle(brand) + style
  const styleHash = hashOf(branded)
  const files: readonly PageFile[] = [
    { name: `style.${styleHash}.css`, type: 'text/css; charset=utf-8', content: branded },
    { name: `pages.${scriptHash}.js`, type: 'text/javascript; charset=utf-8', content: script },
    ...(brand.logo === undefined ? [] : [logoFile(brand.logo)]),
  ]

  function frame({ headers, state }: Context, username?: string): Frame {
    const language = state.language ?? pickLanguage(headers['accept-language'])
    return { language, paths, brand, styleHash, scriptHash, username }
  }

  return {
    /** As browsers have them. */
    paths,
    /** A path of a request as the browser has it. */
    publicPath: (path: string) => basePath + path,
    frame,
    /** What pages are made of. @throws OAuthError `not_found` for anything but a file of this version */
    file(ctx: Context, wanted: string | undefined): void {
      const found = files.find(({ name }) => name === wanted)
      if (found === undefined) throw new OAuthError('not_found', 'there is nothing at this path')
      ctx.set('Cache-Control', 'public, max-age=31536000, immutable')
      if (found.policy !== undefined) ctx.set('Content-Security-Policy', found.policy)
      ctx.type = found.type
      ctx.body = found.content
    },
    /** @returns the page that tells of a refusal; undefined for what is no browser */
    errorPage(ctx: Context, failure: OAuthError): string | undefined {
      if (!wantsPage(ctx)) return undefined
      const { status } = errorAnswers[failure.code]
      return errorPage({ status, requestId: ctx.state.requestId, retryAfter: failure.retryAfter }, frame(ctx))
    },
  }
}

export function sendPage(ctx: Context, document: string): void {
  setPageHeaders(ctx)
  ctx.body = document
}

/** After a POST, so that neither Back nor Reload sends the form again (RFC 9110 §15.4.4). */
export function redirect(ctx: Context, path: string): void {
  ctx.status = 303
  ctx.set('Location', path)
  ctx.body = ''
}

type PageFile = Readonly<{ name: string; type: string; content: string | Buffer; policy?: string }>

/** A picture that somebody else has made: opened by itself, as an SVG can be, it runs nothing and loads nothing. */
function logoFile({ file, type, bytes }: Logo): PageFile {
  const policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
  return { name: file, type, content: Buffer.from(bytes), policy }
}

/** Under the name that browsers try by themselves, so it may change; the tag says whether it has. */
export function favicon(ctx: Context): void {
  ctx.set('Cache-Control', 'public, max-age=86400')
  if (answersUnmodified(ctx, iconTag)) return
  ctx.type = 'image/x-icon'
  ctx.body = icon
}

export function setPageHeaders(ctx: Context): void {
  setDocumentHeaders(ctx, contentSecurityPolicy, 'same-origin')
  ctx.vary('Accept-Language')
}
