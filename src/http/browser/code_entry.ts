/**
 * The page of who waits for a mail, whatever that is for. What waits is a challenge, in a cookie; the code of the mail is taken for its
 * link, so that both lead to the same page. Whether a mail was sent at all it does not tell.
 */
import { linkOfCode } from '../../accounts/mail_proof.ts'
import { OAuthError } from '../../error.ts'
import type { LinkPurpose } from '../../mail/link.ts'
import type { Deps } from '../../oauth/deps.ts'
import type { Content } from '../../pages/html.ts'
import type { Frame } from '../../pages/layout.ts'
import { type MailCodeView, mailCodePage } from '../../pages/mail_code.ts'
import { type Paths, paths } from '../../pages/paths.ts'
import type { Context } from '../context.ts'
import { crossSite, goOn, ok } from '../description.ts'
import type { Endpoint, RefusedByPage } from '../endpoint.ts'
import { htmlType } from '../media_types.ts'
import { bodyParams, formOrJsonBody } from '../params.ts'
import { mailCodeForm } from '../request_params.ts'
import { cookieName, cookieValues, setCookie } from './cookies.ts'
import { openMailLink } from './mail_link.ts'
import { redirect, type Site, sendPage, wantsPage } from './pages.ts'
import { insistOnSameSite } from './same_site.ts'

export type CodeEntry = Readonly<{
  purpose: LinkPurpose
  /** Of the endpoints in the API document: `…CodePage` and `…Code`. */
  id: string
  /** Its path, and that of the page on which a mail is asked for. */
  path: keyof Paths
  again: keyof Paths
  /** What the mail is for, and whether there is one. */
  lede: (frame: Frame) => Content
}>

/** Leads a browser that has asked for a mail to the page that waits for it. */
export function waitForCode(
  deps: Deps,
  site: Site,
  ctx: Context,
  { purpose, path }: Pick<CodeEntry, 'purpose' | 'path'>,
  { challenge, expiresIn }: Readonly<{ challenge: string; expiresIn: number }>,
): void {
  setCookie(ctx, deps.config.issuer, nameOf(deps, purpose), challenge, expiresIn)
  redirect(ctx, site.paths[path])
}

export function codeEntryEndpoints(deps: Deps, site: Site, entry: CodeEntry): readonly Endpoint[] {
  const shared = { path: paths[entry.path], caller: 'open', cors: 'none', hasPages: true } as const
  return [
    {
      ...shared,
      id: `${entry.id}CodePage`,
      method: 'get',
      handle(ctx) {
        if (challengeOf(deps, ctx, entry) === undefined) return redirect(ctx, site.paths[entry.again])
        sendPage(ctx, pageOf(site, ctx, entry))
      },
      describe: ({ htmlPage }) => ({
        tag: 'Browser',
        summary: 'The page that waits for a mail, and asks for its code',
        answers: { ...ok('The page.', { [htmlType]: htmlPage }), ...goOn },
      }),
    },
    {
      ...shared,
      id: `${entry.id}Code`,
      method: 'post',
      body: formOrJsonBody,
      handle: ctx => takeCode(deps, site, ctx, entry),
      describe: () => ({
        tag: 'Browser',
        summary: 'The form of that page: a right code leads where the link of the mail does',
        body: mailCodeForm,
        answers: goOn,
        errors: {
          ...crossSite,
          invalid_request: 'code is missing',
          invalid_grant: 'the code is wrong',
          invalid_session: 'the auth_session is expired, used or not valid; start again',
        },
      }),
    },
  ]
}

const nameOf = ({ config }: Deps, purpose: LinkPurpose) => cookieName(config.issuer, `code-${purpose}`)

function challengeOf(deps: Deps, ctx: Context, { purpose }: CodeEntry): string | undefined {
  const [text, ...more] = cookieValues(ctx, nameOf(deps, purpose))
  return more.length > 0 || text === '' ? undefined : text
}

async function takeCode(deps: Deps, site: Site, ctx: Context, entry: CodeEntry): Promise<RefusedByPage | undefined> {
  insistOnSameSite(ctx, deps.config.issuer)
  const { code } = bodyParams(ctx).params
  const challenge = challengeOf(deps, ctx, entry)
  if (challenge === undefined) {
    redirect(ctx, site.paths[entry.again])
    return undefined
  }
  const refuse = (failure: OAuthError, problem: MailCodeView['problem']): RefusedByPage => ({
    failure,
    page: wantsPage(ctx) ? pageOf(site, ctx, entry, problem) : undefined,
  })
  if (code === undefined) return refuse(new OAuthError('invalid_request', 'code is missing'), 'missing')
  try {
    const link = await linkOfCode(deps, entry.purpose, { challenge, code, clientId: undefined })
    setCookie(ctx, deps.config.issuer, nameOf(deps, entry.purpose), '', 0)
    openMailLink(deps, site, ctx, link)
    return undefined
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    if (error.code === 'invalid_grant') return refuse(error, 'wrong')
    if (error.code !== 'invalid_session') throw error
    setCookie(ctx, deps.config.issuer, nameOf(deps, entry.purpose), '', 0)
    return refuse(error, 'over')
  }
}

function pageOf(site: Site, ctx: Context, { path, again, lede }: CodeEntry, problem?: MailCodeView['problem']): string {
  const frame = site.frame(ctx)
  const view = { action: site.paths[path], again: site.paths[again], lede: lede(frame), problem }
  return mailCodePage(view, frame)
}
