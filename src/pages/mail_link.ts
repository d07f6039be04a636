/** The page for a link of a mail that leads to nothing, or to nothing any more. */
import { html } from './html.ts'
import { type Frame, formatPage } from './layout.ts'
import { texts } from './texts.ts'

export type MailLinkView = Readonly<{
  /** `broken` is no link of ours, or not all of it. `over` has been one: used, too old, or overtaken by a change. */
  state: 'broken' | 'over'
  /** Where there is another one to be had, or what else to do, and how that is called. */
  next?: Readonly<{ path: string; label: string }> | undefined
}>

export function mailLinkPage({ state, next }: MailLinkView, frame: Frame): string {
  const words = texts[frame.language]
  const { title, lede } = words.mailLinkPage[state]
  return formatPage(frame, {
    title,
    width: 'narrow',
    content: html`<h1>${title}</h1>
<p class="lede">${lede}</p>
<p class="row">${
      next === undefined
        ? html`<a class="button" href="${frame.paths.home}">${words.toHome}</a>`
        : html`<a class="button main" href="${next.path}">${next.label}</a>`
    }</p>`,
  })
}
