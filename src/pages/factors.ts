/** What of the account page is about signing in, and the page of a single factor. */
import { cut, formatDay, formatNumber, formatTimeAgo } from './formats.ts'
import { type Html, html } from './html.ts'
import { type Field, type Frame, field, formatPage, hidden, person } from './layout.ts'
import { factorPath } from './paths.ts'
import { type Row, rowList } from './rows.ts'
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

const maxName = 40

/** How somebody signs in: the password, and what is asked for besides. */
export function securitySection(factors: readonly FactorView[], hasPasskeys: boolean, now: number, frame: Frame): Html {
  const words = texts[frame.language]
  const page = words.factors
  const { paths } = frame
  const lacksCodes = factors.length > 0 && !factors.some(({ kind }) => kind === 'recovery_codes')
  const password: Row = {
    id: 'password',
    label: words.password,
    hint: page.passwordHint,
    action: { href: paths.password, label: words.accountPage.change },
  }
  return html`<section aria-labelledby="security">
<h2 id="security">${page.title}</h2>
<p class="lede">${factors.length === 0 ? page.none : page.lede}</p>
${rowList([password, ...inOrder(factors).map((one, i) => factorRow(one, i, now, frame))])}
<p class="row"><a class="button" href="${paths.factors}?kind=totp">${page.addTotp}</a>${hasPasskeys && html`<a class="button" href="${paths.factors}?kind=passkey">${page.addPasskey}</a>`}${lacksCodes && html`<a class="button" href="${paths.recoveryCodes}">${page.kind.recovery_codes}</a>`}</p>
</section>`
}

/** Recovery codes, which stand in for the others, after them. */
function inOrder(factors: readonly FactorView[]): FactorView[] {
  const isCodes = ({ kind }: FactorView) => Number(kind === 'recovery_codes')
  return factors.toSorted((a, b) => isCodes(a) - isCodes(b))
}

function factorRow(one: FactorView, index: number, now: number, frame: Frame): Row {
  const page = texts[frame.language].factors
  const isCodes = one.kind === 'recovery_codes'
  const left = isCodes && page.left(formatNumber(one.left ?? 0, frame.language))
  return {
    id: `factor${index}`,
    label: page.kind[one.kind],
    value: one.name === undefined ? left || undefined : person(cut(one.name, maxName)),
    isNamed: one.name !== undefined,
    hint: historyOf(one, now, frame),
    action: isCodes
      ? { href: frame.paths.recoveryCodes, label: page.newCodes }
      : { href: factorPath(frame.paths, one.id), label: page.manage },
  }
}

function historyOf(one: FactorView, now: number, { language }: Frame): Html {
  const page = texts[language].factors
  const used = one.usedAt === undefined ? page.never : page.used(formatTimeAgo(one.usedAt, now, language))
  return html`${page.added(formatDay(one.createdAt, language))} · ${used}`
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
