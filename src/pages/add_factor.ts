/** The pages that add a factor: an authenticator app, by a picture or a key and the first code, or a passkey. */
import { formatWait } from './formats.ts'
import { attributes, type Content, html } from './html.ts'
import { type Field, type Frame, field, formatPage, hidden, notice, person, problemSummary } from './layout.ts'
import { type QrCode, qrCode } from './qr_code.ts'
import { type Texts, texts } from './texts.ts'

export type AddTotpView = Readonly<{
  username: string
  /** The sealed text that says what is about to be added. */
  enrollment: string
  /** Base32. */
  secret: string
  /** The same for an app: `otpauth:`. */
  uri: string
  /** The same as a picture; none where it would be too fine to be read. */
  qr?: QrCode | undefined
  problem?: 'missing' | 'wrong' | 'clock' | undefined
  /** For `clock`: seconds by which the one of the phone is wrong, about. */
  drift?: number | undefined
  /** What was begun before is over; this is another. */
  isAnother?: boolean | undefined
  /** Of somebody who is to sign in, and has to add one first. */
  signIn?: Readonly<{ authSession: string; returnTo?: string | undefined }> | undefined
}>

/** Posts `kind`, `enrollment` and `otp`; in a sign-in `auth_session` and `return_to` too. */
export function addTotpPage(view: AddTotpView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.addTotpPage
  const { signIn, problem } = view
  const code: Field = {
    name: 'otp',
    label: page.code,
    type: 'text',
    autocomplete: 'one-time-code',
    inputmode: 'numeric',
    isCode: true,
    hint: page.codeHint,
    problem: problem && codeProblem(problem, view.drift, frame, words),
    // Who comes first looks at the picture, which a focus below it would scroll away.
    autofocus: problem !== undefined,
  }
  const title = signIn === undefined ? page.title : page.demandedTitle
  return formatPage(
    { ...frame, username: signIn === undefined ? view.username : undefined },
    {
      title,
      width: 'narrow',
      hasProblem: problem !== undefined,
      content: html`<h1>${title}</h1>
${signIn !== undefined && html`<p class="lede">${page.demanded(person(view.username))}</p>`}
${view.isAnother && notice(page.over)}
${problemSummary([code], undefined, words)}
${
  view.qr &&
  html`<p>${page.scan}</p>
${qrCode(view.qr, page.picture)}`
}
<p><a href="${view.uri}">${page.here}</a></p>
<div class="key">
<p>${page.type}</p>
<code id="key" translate="no">${inGroups(view.secret)}</code>
<button type="button" data-copy="key" data-copied="${words.codesPage.copied}" hidden>${page.copy}</button>
</div>
<form class="stack" method="post" action="${signIn === undefined ? frame.paths.factors : frame.paths.signIn}">
${hidden('kind', 'totp')}
${hidden('enrollment', view.enrollment)}
${hidden('auth_session', signIn?.authSession)}
${hidden('return_to', signIn?.returnTo)}
${field(code)}
<button class="main">${signIn === undefined ? page.go : page.goSignIn}</button>
</form>
${signIn === undefined && back(frame, words)}`,
    },
  )
}

export type AddPasskeyView = Readonly<{
  username: string
  enrollment: string
  /** What the browser is to make, as JSON. */
  options: string
  /** The last one that it made was refused. */
  hasProblem?: boolean | undefined
  isAnother?: boolean | undefined
}>

/** Posts `kind`, `enrollment` and `passkey`. */
export function addPasskeyPage(view: AddPasskeyView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.addPasskeyPage
  const { hasProblem } = view
  return formatPage(
    { ...frame, username: view.username },
    {
      title: page.title,
      width: 'narrow',
      hasProblem,
      content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede}</p>
${view.isAnother && notice(page.over)}
${problemSummary([], hasProblem ? words.problem.passkey : undefined, words)}
<form class="stack" method="post" action="${frame.paths.factors}">
${hidden('kind', 'passkey')}
${hidden('enrollment', view.enrollment)}
${hidden('passkey', '')}
<p class="hint" data-without>${page.noPasskeys}</p>
<button type="button" class="main"${attributes({ 'data-passkey': 'create', 'data-options': view.options, hidden: true })}>${page.go}</button>
<p class="problem" role="alert" data-failed hidden>${page.failed}</p>
<p class="problem" role="alert" data-known hidden>${page.known}</p>
</form>
${back(frame, words)}`,
    },
  )
}

function codeProblem(
  problem: 'missing' | 'wrong' | 'clock',
  drift: number | undefined,
  { language }: Frame,
  { problem: { otp } }: Texts,
): string {
  if (problem !== 'clock') return otp[problem]
  // In whole minutes: a step of 30 seconds says no more.
  const minutes = Math.max(1, Math.round(Math.abs(drift ?? 0) / 60))
  return otp.clock(formatWait(60 * minutes, language))
}

/** As people read and type it: four at a time. */
function inGroups(secret: string): string {
  return secret.match(/.{1,4}/g)?.join(' ') ?? ''
}

function back(frame: Frame, words: Texts): Content {
  return html`<p class="away"><a href="${frame.paths.account}">${words.toAccount}</a></p>`
}
