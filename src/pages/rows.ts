/** Lists of what an account has, one a row: what it is called, what it is, and the one thing to do with it. */
import { attributes, type Content, type Html, html } from './html.ts'

export type Row = Readonly<{
  /** Of its own on the page. */
  id: string
  label: Content
  value?: Content
  /** There are several of this label: the value tells them apart. */
  isNamed?: boolean | undefined
  hint?: Content
  /** Its label goes before that of the row where it is read out: “Change Email”. */
  action?: Readonly<{ href: string; label: string }> | undefined
}>

export function rowList(rows: readonly Row[]): Html {
  return html`<ul class="rows">
${rows.map(row)}
</ul>`
}

function row({ id, label, value, isNamed, hint, action }: Row): Html {
  const link =
    action &&
    attributes({ id: `${id}-act`, 'aria-labelledby': `${id}-act ${id}-label${isNamed ? ` ${id}-value` : ''}` })
  return html`<li>
<p class="label" id="${id}-label">${label}</p>
<div class="value">
${value !== undefined && html`<p id="${id}-value">${value}</p>`}
${hint !== undefined && html`<p class="hint">${hint}</p>`}
</div>
${action && html`<a class="button quiet" href="${action.href}"${link}>${action.label}</a>`}
</li>`
}
