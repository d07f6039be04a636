/** The pages of refusals and failures. What happened is told by the status alone: nothing of the request is shown. */
import { formatWait } from './formats.ts'
import { html } from './html.ts'
import { type Frame, formatPage } from './layout.ts'
import { signInPath } from './paths.ts'
import { texts } from './texts.ts'

/** The statuses that have words of their own. */
export const errorStatuses = [400, 401, 403, 404, 405, 413, 429, 500, 503] as const
type ErrorStatus = (typeof errorStatuses)[number]

export type ErrorView = Readonly<{
  /** The HTTP status; one without words of its own gets those of 400 or 500. */
  status: number
  requestId: string
  /** Seconds, as in `Retry-After`; for 429 and 503. */
  retryAfter?: number | undefined
  /** Where to go after signing in; for 401. */
  returnTo?: string | undefined
}>

export function errorPage(view: ErrorView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.errorPage
  const status = knownStatus(view.status)
  const { title, lede } = page[status]
  return formatPage(frame, {
    title,
    width: 'narrow',
    content: html`<p class="status">${view.status}</p>
<h1>${title}</h1>
<p class="lede">${lede}</p>
${(status === 429 || status === 503) && html`<p>${view.retryAfter === undefined ? page.tryAgainSoon : page.tryAgainIn(formatWait(view.retryAfter, frame.language))}</p>`}
<p class="row">${
      status === 401
        ? html`<a class="button main" href="${signInPath(frame.paths, view.returnTo)}">${words.signIn}</a>`
        : html`<a class="button" href="${frame.paths.home}">${words.toHome}</a>`
    }</p>
<p class="request"><span>${page.requestId}</span> <code translate="no">${view.requestId}</code> <span class="hint">${page.requestIdHint}</span></p>`,
  })
}

function knownStatus(status: number): ErrorStatus {
  return errorStatuses.find(one => one === status) ?? (status < 500 ? 400 : 500)
}
