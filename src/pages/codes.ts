/** Recovery codes: the page that shows them, the only time that anybody sees them, and the one that asks whether they are to be replaced. */
import { formatNumber } from './formats.ts'
import { html } from './html.ts'
import { type Frame, formatPage, hidden } from './layout.ts'
import { texts } from './texts.ts'

export type CodesView = Readonly<{
  username: string
  codes: readonly string[]
  /** Where to go on. */
  next: string
}>

export function codesPage(view: CodesView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.codesPage
  return formatPage(
    { ...frame, username: view.username },
    {
      title: page.title,
      width: 'narrow',
      content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede}</p>
<p>${page.once}</p>
<ol class="codes" id="codes" aria-label="${page.list}">
${view.codes.map(code => html`<li><code translate="no">${code}</code></li>`)}
</ol>
<p class="row"><button type="button" data-copy="codes" data-copied="${page.copied}" hidden>${page.copy}</button><button type="button" data-print hidden>${page.print}</button></p>
<p class="row"><a class="button main" href="${view.next}">${page.go}</a></p>`,
    },
  )
}

export type NewCodesView = Readonly<{
  username: string
  /** Of those that are to be replaced: the form makes new ones only in their place, so that sending it twice does no harm. */
  factorId: string
  left: number
}>

/** Posts `factor`. */
export function newCodesPage(view: NewCodesView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.newCodesPage
  return formatPage(
    { ...frame, username: view.username },
    {
      title: page.title,
      width: 'narrow',
      content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede(formatNumber(view.left, frame.language))}</p>
<form class="row" method="post" action="${frame.paths.recoveryCodes}">
${hidden('factor', view.factorId)}
<button class="main">${page.go}</button>
<a class="button" href="${frame.paths.account}">${words.toAccount}</a>
</form>`,
    },
  )
}
