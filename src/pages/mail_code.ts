/** The page for who waits for a mail: it asks for the code of it. */
import { type Content, html } from './html.ts'
import { type Field, type Frame, field, formatPage, problemSummary } from './layout.ts'
import { texts } from './texts.ts'

export type MailCodeView = Readonly<{
  /** Where the code is posted to, as `code`, and where another mail is asked for. */
  action: string
  again: string
  /** What the mail is for, and whether there is one. */
  lede: Content
  problem?: 'missing' | 'wrong' | 'over' | undefined
}>

export function mailCodePage({ action, again, lede, problem }: MailCodeView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.mailCodePage
  const code: Field = {
    name: 'code',
    label: page.field,
    type: 'text',
    autocomplete: 'one-time-code',
    inputmode: 'numeric',
    isCode: true,
    hint: page.hint,
    problem: problem === 'over' ? undefined : problem && page[problem],
    autofocus: true,
  }
  return formatPage(frame, {
    title: page.title,
    width: 'narrow',
    hasProblem: problem !== undefined,
    content:
      problem === 'over'
        ? html`<h1>${page.title}</h1>
${problemSummary([], page.over, words)}
<p class="row"><a class="button main" href="${again}">${page.again}</a></p>`
        : html`<h1>${page.title}</h1>
<p class="lede">${lede}</p>
${problemSummary([code], undefined, words)}
<form class="stack" method="post" action="${action}">
${field(code)}
<button class="main">${page.go}</button>
</form>
<p class="hint">${page.noMail}</p>
<p class="away"><a href="${again}">${page.again}</a></p>`,
  })
}
