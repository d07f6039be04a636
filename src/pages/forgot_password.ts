/** Who has forgotten the password: the page that asks who that is. Whether there is such an account it never says. */
import { formatWait } from './formats.ts'
import { html } from './html.ts'
import { type Field, type Frame, field, formatPage, problemSummary } from './layout.ts'
import { texts } from './texts.ts'

export type ForgotPasswordView = Readonly<{
  /** As it was typed. */
  username?: string | undefined
  problems?: Readonly<{ form?: 'try_later' | undefined; username?: 'missing' | 'too_long' | undefined }> | undefined
  /** Seconds, for `try_later`. */
  retryAfter?: number | undefined
}>

/** Posts `username`. */
export function forgotPasswordPage({ username, problems, retryAfter }: ForgotPasswordView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.forgotPasswordPage
  const names = words.signInNames.both
  const wait = retryAfter === undefined ? undefined : formatWait(retryAfter, frame.language)
  const name: Field = {
    name: 'username',
    label: names.label,
    type: 'text',
    autocomplete: 'username',
    value: username,
    problem: problems?.username && names[problems.username],
    autofocus: true,
  }
  return formatPage(frame, {
    title: page.title,
    width: 'narrow',
    hasProblem: problems !== undefined,
    content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede}</p>
${problemSummary([name], problems?.form && page.tooMany(wait), words)}
<form class="stack" method="post" action="${frame.paths.forgotPassword}">
${field(name)}
<button class="main">${page.go}</button>
</form>
<p class="away"><a href="${frame.paths.signIn}">${page.toSignIn}</a></p>`,
  })
}
