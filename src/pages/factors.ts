/** What of the account page is about factors, and the page of a single one. */
import { cut, formatAgo, formatDay, formatNumber } from './formats.ts'
import { attributes, type Content, type Html, html } from './html.ts'
import { type Field, type Frame, field, formatPage, hidden, person } from './layout.ts'
import { factorPath } from './paths.ts'
import { texts } from './texts.ts'

/** A factor as its user sees it. Instants are seconds since the epoch. */
export type FactorView = Readonly<{
  id: string
  kind: 'totp' | 'recovery_codes' | 'passkey'
  /** What its user calls it. */
  name?: string | undefined
  createdAt: number
  usedAt?: number | undefined
  /** How many recovery codes there are. */
  left?: number | undefined
}>

const maxName = 48

export function factorsSection(factors: readonly FactorView[], hasPasskeys: boolean, now: number, frame: Frame): Html {
  const page = texts[frame.language].factors
  const { paths } = frame
  const lacksCodes = factors.length > 0 && !factors.some(({ kind }) => kind === 'recovery_codes')
  return html`<section aria-labelledby="factors">
<h2 id="factors">${page.title}</h2>
<p class="lede">${factors.length === 0 ? page.none : page.lede}</p>
${
  factors.length > 0 &&
  html`<ul class="factors">
${inOrder(factors).map((one, i) => factorItem(one, i, now, frame))}
</ul>`
}
<p class="row"><a class="button" href="${paths.factors}?kind=totp">${page.addTotp}</a>${hasPasskeys && html`<a class="button" href="${paths.factors}?kind=passkey">${page.addPasskey}</a>`}${lacksCodes && html`<a class="button" href="${paths.recoveryCodes}">${page.kind.recovery_codes}</a>`}</p>
</section>`
}

/** Recovery codes, which stand in for the others, after them. */
function inOrder(factors: readonly FactorView[]): FactorView[] {
  const isCodes = ({ kind }: FactorView) => Number(kind === 'recovery_codes')
  return factors.toSorted((a, b) => isCodes(a) - isCodes(b))
}

function factorItem(one: FactorView, index: number, now: number, frame: Frame): Html {
  const page = texts[frame.language].factors
  const isCodes = one.kind === 'recovery_codes'
  const [path, label] = isCodes
    ? [frame.paths.recoveryCodes, page.newCodes]
    : [factorPath(frame.paths, one.id), page.manage]
  const link = attributes({ id: `manage${index}`, 'aria-labelledby': `manage${index} factor${index}` })
  return html`<li>
<h3 id="factor${index}">${titleOf(one, frame)}</h3>
<p class="agent">${one.name !== undefined && html`${page.kind[one.kind]} · `}${isCodes && html`${page.left(formatNumber(one.left ?? 0, frame.language))} · `}${historyOf(one, now, frame)}</p>
<a class="button" href="${path}"${link}>${label}</a>
</li>`
}

function historyOf(one: FactorView, now: number, { language }: Frame): Html {
  const words = texts[language]
  const page = words.factors
  const used =
    one.usedAt === undefined ? page.never : page.used(formatAgo(one.usedAt, now, language) ?? words.accountPage.justNow)
  return html`${page.added(formatDay(one.createdAt, language))} · ${used}`
}

function titleOf(one: FactorView, { language }: Frame): Content {
  return one.name === undefined ? texts[language].factors.kind[one.kind] : person(cut(one.name, maxName))
}

export type ManageView = Readonly<{
  username: string
  factor: FactorView
  /** Nothing but recovery codes would be left without it. */
  isLast: boolean
  now: number
  /** The most UTF-16 code units of a name. */
  maxName: number
}>

/** Posts `name`, or `remove`. */
export function managePage(view: ManageView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.managePage
  const { factor } = view
  const path = factorPath(frame.paths, factor.id)
  const name: Field = {
    name: 'name',
    label: page.name,
    type: 'text',
    autocomplete: 'off',
    hint: page.nameHint,
    value: factor.name,
    optional: true,
    maxlength: view.maxName,
  }
  const title = words.factors.kind[factor.kind]
  return formatPage(
    { ...frame, username: view.username },
    {
      title,
      width: 'narrow',
      content: html`<h1>${title}</h1>
<p class="lede">${historyOf(factor, view.now, frame)}</p>
<form class="stack" method="post" action="${path}">
${field(name)}
<button>${page.rename}</button>
</form>
<section aria-labelledby="remove">
<h2 id="remove">${page.remove}</h2>
<p>${view.isLast ? page.removeLast : page.removeLede}</p>
<form method="post" action="${path}">${hidden('remove', 'yes')}<button class="danger">${page.remove}</button></form>
</section>
<p class="away"><a href="${frame.paths.account}">${words.toAccount}</a></p>`,
    },
  )
}
