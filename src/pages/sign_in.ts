/** The sign-in page. */

import { formatWait } from './formats.ts'
import { type Html, html } from './html.ts'
import { away, type Field, type Frame, field, formatPage, hidden, type Link, notice, problemSummary } from './layout.ts'
import { type Texts, texts } from './texts.ts'

export type SignInView = Readonly<{
  /** By what users sign in; by username where it is not said. */
  by?: keyof Texts['signInNames']
  /** As it was typed. What was typed as the password never comes back. */
  username?: string | undefined
  returnTo?: string | undefined
  /** The person wanted another page and was sent here. */
  signInFirst?: boolean | undefined
  /** Whether there are passkeys here. */
  hasPasskeys?: boolean | undefined
  /** Whether mails are sent, so that who has forgotten the password gets one. */
  hasMail?: boolean | undefined
  /** Whether people may make accounts of their own. */
  signUp?: boolean | undefined
  problems?:
    | Readonly<{
        form?: 'wrong_credentials' | 'try_later' | 'over' | 'passkey_refused' | undefined
        username?: 'missing' | 'too_long' | undefined
        password?: 'missing' | 'too_long' | undefined
      }>
    | undefined
  /** Seconds, for `try_later`. */
  retryAfter?: number | undefined
}>

export function signInPage(view: SignInView, frame: Frame): string {
  const words = texts[frame.language]
  const { form, username, password } = view.problems ?? {}
  const names = words.signInNames[view.by ?? 'username']
  const hasProblem = form !== undefined || username !== undefined || password !== undefined
  const questioned = form === 'wrong_credentials'
  // Straight to what is to be typed: the name, or the password of a name that is already there.
  const passwordFirst = username === undefined && view.username !== undefined
  const fields: Field[] = [
    {
      name: 'username',
      label: names.label,
      type: 'text',
      // Also of an address: that is what a password manager keeps the account by.
      autocomplete: view.hasPasskeys ? 'username webauthn' : 'username',
      inputmode: view.by === 'email' ? 'email' : undefined,
      value: view.username,
      problem: username && names[username],
      questioned,
      autofocus: !passwordFirst,
    },
    {
      name: 'password',
      label: words.password,
      type: 'password',
      autocomplete: 'current-password',
      problem: password && words.problem.password[password],
      questioned,
      autofocus: passwordFirst,
    },
  ]
  return formatPage(frame, {
    title: words.signIn,
    width: 'narrow',
    hasProblem,
    content: html`<h1>${words.signIn}</h1>
${view.signInFirst && !hasProblem && notice(words.signInPage.signInFirst)}
${problemSummary(fields, form && formProblem(form, view, frame, words), words)}
<form class="stack" method="post" action="${frame.paths.signIn}">
${hidden('return_to', view.returnTo)}
${fields.map(field)}
<button class="main">${words.signIn}</button>
${view.hasPasskeys && passkeyPart(frame, words)}
</form>
${away(...otherWays(view, frame))}`,
  })
}

/** For who cannot sign in. */
function otherWays({ hasMail, signUp }: SignInView, { language, paths }: Frame): Link[] {
  const words = texts[language]
  const links: Link[] = []
  if (hasMail) links.push({ href: paths.forgotPassword, label: words.forgotPassword })
  if (hasMail && signUp) links.push({ href: paths.signUp, label: words.signUpPage.title })
  return links
}

/** Shown by the script, which asks this server for what the browser is to be asked, and posts `auth_session` and `passkey`. */
function passkeyPart({ paths }: Frame, words: Texts): Html {
  const page = words.signInPage
  return html`${hidden('auth_session', '')}
${hidden('passkey', '')}
<div class="passkey" hidden>
<p class="or">${page.or}</p>
<button type="button" data-passkey="get" data-begin="${paths.passkeySignIn}">${page.passkey}</button>
<p class="problem" role="alert" data-failed hidden>${page.passkeyFailed}</p>
</div>`
}

type FormProblem = NonNullable<NonNullable<SignInView['problems']>['form']>

function formProblem(
  problem: FormProblem,
  { by = 'username', retryAfter }: SignInView,
  { language }: Frame,
  words: Texts,
): string {
  switch (problem) {
    case 'try_later':
      return words.problem.try_later(retryAfter === undefined ? undefined : formatWait(retryAfter, language))
    case 'over':
      return words.signInPage.over
    case 'passkey_refused':
      return words.signInPage.passkeyRefused
    case 'wrong_credentials':
      return words.signInNames[by].wrong_credentials
  }
}
