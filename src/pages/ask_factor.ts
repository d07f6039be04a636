/** The page that asks for one more proof: of who signs in, after the password, and of who is signed in and about to change how. */
import { formatWait } from './formats.ts'
import { attributes, type Html, html } from './html.ts'
import { type Field, type Frame, field, formatPage, hidden, person, problemSummary } from './layout.ts'
import { mailPath, signInPath } from './paths.ts'
import { type Texts, texts } from './texts.ts'

/** As they are called in requests. */
export const proofs = ['otp', 'passkey', 'recovery_code', 'password'] as const
export type Proof = (typeof proofs)[number]

export type AskFactorView = Readonly<{
  /** Whether a sign-in is to be finished, somebody who is signed in asked again, or a forgotten password replaced. */
  purpose: 'sign_in' | 'confirm' | 'password_reset'
  username: string
  /** The sealed text that says what has been proved: all that this server would have to remember is on the page. */
  authSession: string
  returnTo?: string | undefined
  /** Of which one is enough, and the one that the page asks for. */
  choices: readonly Proof[]
  asked: Proof
  /** What the browser is to be asked for, as JSON. */
  passkeyOptions?: string | undefined
  problem?: 'missing' | 'wrong' | 'try_later' | 'over' | undefined
  /** Seconds, for `try_later`. */
  retryAfter?: number | undefined
}>

/** Posts `auth_session` and the proof; or `use`, another one of the choices, to be asked for that. */
export function askFactorPage(view: AskFactorView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.factorPage
  const { asked, purpose } = view
  const fields = fieldOf(view, words)
  const title = page.title[asked]
  const who = person(view.username)
  const others = view.choices.filter(one => one !== asked)
  const isMain = asked === 'passkey'
  return formatPage(
    { ...frame, username: purpose === 'confirm' ? view.username : undefined },
    {
      title,
      width: 'narrow',
      hasProblem: view.problem !== undefined,
      content: html`<h1>${title}</h1>
<p class="lede">${page.asking[purpose](who)}</p>
${problemSummary(fields, formProblem(view, frame, words), words)}
<form class="stack" method="post" action="${actionOf(view, frame)}">
${hidden('auth_session', view.authSession)}
${hidden('return_to', view.returnTo)}
${view.choices.includes('passkey') && hidden('passkey', '')}
${fields.length === 0 ? html`<p>${page.lede[asked]}</p>` : fields.map(field)}
${isMain ? passkeyButton(view, true, words) : html`<button class="main">${page.go}</button>`}
${isMain && html`<p class="hint" data-without>${page.noPasskeys}</p>`}
${view.choices.includes('passkey') && html`<p class="problem" role="alert" data-failed hidden>${page.passkeyFailed}</p>`}
${
  others.length > 0 &&
  html`<div class="others">
${others.map(one =>
  one === 'passkey'
    ? passkeyButton(view, false, words)
    : html`<button class="quiet" name="use" value="${one}" formnovalidate>${page.use[one]}</button>`,
)}
</div>`
}
</form>
${purpose === 'sign_in' && html`<p class="away"><a href="${signInPath(frame.paths, view.returnTo)}">${page.startOver}</a></p>`}`,
    },
  )
}

function actionOf({ purpose }: AskFactorView, { paths }: Frame): string {
  if (purpose === 'password_reset') return mailPath(paths, purpose)
  return purpose === 'confirm' ? paths.confirm : paths.signIn
}

/** Shown by the script, where there are passkeys: nothing but a script can ask for one. */
function passkeyButton({ passkeyOptions }: AskFactorView, isMain: boolean, words: Texts): Html {
  const shown = attributes({
    class: isMain ? 'main' : 'quiet',
    'data-passkey': 'get',
    'data-options': passkeyOptions,
    hidden: true,
  })
  return html`<button type="button"${shown}>${words.factorPage.use.passkey}</button>`
}

function fieldOf({ asked, problem }: AskFactorView, words: Texts): Field[] {
  const page = words.factorPage
  const shared = { name: asked, hint: page.lede[asked], autofocus: true }
  const isOfField = problem === 'missing' || problem === 'wrong'
  switch (asked) {
    case 'otp':
      return [
        {
          ...shared,
          label: page.field.otp,
          type: 'text',
          autocomplete: 'one-time-code',
          inputmode: 'numeric',
          isCode: true,
          problem: isOfField ? words.problem.otp[problem] : undefined,
        },
      ]
    case 'recovery_code':
      return [
        {
          ...shared,
          label: page.field.recovery_code,
          type: 'text',
          autocomplete: 'off',
          isCode: true,
          problem: isOfField ? words.problem.recoveryCode[problem] : undefined,
        },
      ]
    case 'password':
      return [
        {
          ...shared,
          label: words.password,
          type: 'password',
          autocomplete: 'current-password',
          problem: isOfField ? words.problem.currentPassword[problem] : undefined,
        },
      ]
    case 'passkey':
      return []
  }
}

function formProblem({ asked, problem, retryAfter }: AskFactorView, frame: Frame, words: Texts): string | undefined {
  if (problem === 'over') return words.factorPage.over
  if (problem === 'try_later') {
    const wait = retryAfter === undefined ? undefined : formatWait(retryAfter, frame.language)
    return asked === 'password' ? words.problem.try_later(wait) : words.problem.too_many_codes(wait)
  }
  return asked === 'passkey' && problem !== undefined ? words.problem.passkey : undefined
}
