/**
 * How a link of a mail is opened in a browser, whatever it is for. What looks at mails opens their links too, often, and some as a browser
 * would: so nothing of a link counts before a person has sent the form of its page. The token goes from the URL into a cookie at once, so
 * that it is in no history, no `Referer` (W3C, Referrer Policy §3.1) and no log.
 */
import type { z } from 'zod'
import { readLink } from '../../accounts/mail_proof.ts'
import type { Params } from '../../clients/client.ts'
import { OAuthError } from '../../error.ts'
import { formatLink, type LinkPurpose, type MailLink } from '../../mail/link.ts'
import type { Deps } from '../../oauth/deps.ts'
import { type MailLinkView, mailLinkPage } from '../../pages/mail_link.ts'
import { mailPath, paths } from '../../pages/paths.ts'
import type { Context } from '../context.ts'
import { busy, crossSite, type Errors, goOn, ok } from '../description.ts'
import type { Endpoint, RefusedByPage } from '../endpoint.ts'
import { htmlType } from '../media_types.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { readQuery } from '../query.ts'
import { mailLinkQuery } from '../request_params.ts'
import { cookieName, cookieValues, setCookie } from './cookies.ts'
import { redirect, type Site, sendPage, wantsPage } from './pages.ts'
import { insistOnSameSite } from './same_site.ts'

/** Seconds that a browser keeps the token of a link that was opened. */
const cookieLifetime = 1800
/** Whatever else is in the place of a token is none: a cookie cannot hold it. */
const tokenLike = /^lkm_[\w-]{1,4092}$/

/** A request of who has opened a link: one of ours, of the right purpose, neither expired nor used. */
export type MailLinkVisit = Readonly<{
  ctx: Context
  link: MailLink
  /** How the link is refused after all: a change has overtaken it. */
  over: () => RefusedByPage
  /** Forgets it, when what it is for has been done. */
  finish: () => void
}>

export type MailLinkPages = Readonly<{
  purpose: LinkPurpose
  /** Of the endpoints in the API document: `…ByLink` and `…ByForm`. */
  id: string
  /** What people do there, for the API document. */
  summary: string
  /** What the form sends, and what it can be refused with. */
  form: z.ZodObject
  errors?: Errors
  /** Shows the page with the form. Changes nothing. */
  show: (visit: MailLinkVisit) => Promise<RefusedByPage | undefined>
  /** Does what the form asks for. */
  act: (visit: MailLinkVisit, params: Params) => Promise<RefusedByPage | undefined>
  /** The page that says that all is done already; where there is none a used link is told like an old one. */
  used?: (ctx: Context) => string
  /** What else to do where the link leads to nothing. */
  next?: (ctx: Context) => MailLinkView['next']
}>

/** GET with a `token` puts that into a cookie, GET without shows the page, POST is its form. */
export function mailLinkEndpoints(deps: Deps, site: Site, pages: MailLinkPages): readonly Endpoint[] {
  const { purpose, id, summary } = pages
  const shared = { path: mailPath(paths, purpose), caller: 'open', cors: 'none', hasPages: true } as const
  return [
    {
      ...shared,
      id: `${id}ByLink`,
      method: 'get',
      async handle(ctx) {
        const { token } = readQuery(ctx)
        if (token !== undefined) return takeToken(deps, site, ctx, purpose, token)
        return await visit(deps, site, ctx, pages, pages.show)
      },
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: `The link of a mail: ${summary}`,
        description: 'Opening it changes nothing. The token moves from the URL into a cookie first.',
        query: mailLinkQuery,
        answers: {
          ...ok('The page.', { [htmlType]: htmlPage }),
          303: {
            description: 'To the same path without the token, or to a sign-in where it takes one.',
            headers: ['Location'],
            sometimes: ['Set-Cookie'],
          },
        },
        errors: { ...busy, invalid_request: broken, link_over: over },
      }),
    },
    {
      ...shared,
      id: `${id}ByForm`,
      method: 'post',
      body: formOrJsonBody,
      async handle(ctx) {
        insistOnSameSite(ctx, deps.config.issuer)
        const { params } = bodyParams(ctx)
        return await visit(deps, site, ctx, pages, one => pages.act(one, params))
      },
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: `The form of that page: ${summary}`,
        body: pages.form,
        answers: { ...ok('What comes next.', { [htmlType]: htmlPage }), ...goOn },
        errors: { ...crossSite, invalid_request: broken, link_over: over, ...pages.errors },
      }),
    },
  ]
}

/** Gives a link to the browser that has shown, in the place of its token, that it may have it. The page of the link is next. */
export function openMailLink(deps: Deps, site: Site, ctx: Context, link: MailLink & { purpose: LinkPurpose }): void {
  setCookie(ctx, deps.config.issuer, nameOf(deps, link.purpose), formatLink(link, deps), cookieLifetime)
  redirect(ctx, mailPath(site.paths, link.purpose))
}

const broken = 'the link is not one of this server, or not all of it'
const over = 'the link has been used or is too old, or something has changed since it was sent'

const nameOf = ({ config }: Deps, purpose: LinkPurpose) => cookieName(config.issuer, `link-${purpose}`)

/** What it is worth is looked at on the page, whose URL says nothing of it any more. */
function takeToken(
  deps: Deps,
  site: Site,
  ctx: Context,
  purpose: LinkPurpose,
  token: string | readonly string[],
): undefined {
  const isTokenLike = typeof token === 'string' && tokenLike.test(token)
  setCookie(ctx, deps.config.issuer, nameOf(deps, purpose), isTokenLike ? token : '', isTokenLike ? cookieLifetime : 0)
  ctx.set('Referrer-Policy', 'no-referrer')
  redirect(ctx, mailPath(site.paths, purpose))
}

async function visit(
  deps: Deps,
  site: Site,
  ctx: Context,
  { purpose, used, next }: MailLinkPages,
  go: (visit: MailLinkVisit) => Promise<RefusedByPage | undefined>,
): Promise<RefusedByPage | undefined> {
  const refuse = (failure: OAuthError, state: MailLinkView['state']): RefusedByPage => ({
    failure,
    page: wantsPage(ctx) ? mailLinkPage({ state, next: next?.(ctx) }, site.frame(ctx)) : undefined,
  })
  const refuseOver = (cause: string) => refuse(new OAuthError('link_over', over, { cause }), 'over')
  const name = nameOf(deps, purpose)
  const [text, ...more] = cookieValues(ctx, name)
  const read = text === undefined || more.length > 0 ? undefined : await readLink(deps, purpose, text)
  if (read === undefined || read.kind === 'broken') return refuse(new OAuthError('invalid_request', broken), 'broken')
  if (read.kind === 'used' && used !== undefined) {
    sendPage(ctx, used(ctx))
    return undefined
  }
  if (read.kind !== 'good') return refuseOver(read.kind)
  return await go({
    ctx,
    link: read.link,
    over: () => refuseOver('overtaken'),
    finish: () => setCookie(ctx, deps.config.issuer, name, '', 0),
  })
}
