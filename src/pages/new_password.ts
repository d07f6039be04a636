/** Choosing a password by the link of a mail, and the page after that. */
import { type NewPasswordProblems, newPasswordFields } from './change_password.ts'
import { formatWait } from './formats.ts'
import { html } from './html.ts'
import { type Frame, field, formatPage, person, problemSummary } from './layout.ts'
import { mailPath } from './paths.ts'
import { texts } from './texts.ts'

export type NewPasswordView = Readonly<{
  /** Whose password: password managers keep the new one under this name. */
  username: string
  /** What a new password takes, in characters. */
  shortest: number
  longest: number
  problems?: (NewPasswordProblems & Readonly<{ form?: 'try_later' | 'over' | undefined }>) | undefined
  /** Seconds, for `try_later`. */
  retryAfter?: number | undefined
}>

/** Posts `new_password` and `new_password_repeat`. */
export function newPasswordPage(view: NewPasswordView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.newPasswordPage
  const { username, problems, retryAfter } = view
  const fields = newPasswordFields(view, problems ?? {}, frame)
  const first = fields.find(({ problem }) => problem !== undefined) ?? fields[0]
  const wait = retryAfter === undefined ? undefined : formatWait(retryAfter, frame.language)
  const told = problems?.form && (problems.form === 'over' ? page.over : words.problem.try_later(wait))
  return formatPage(frame, {
    title: page.title,
    width: 'narrow',
    hasProblem: problems !== undefined,
    content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede(person(username))}</p>
${problemSummary(fields, told, words)}
<form class="stack" method="post" action="${mailPath(frame.paths, 'password_reset')}">
${field({ name: 'username', label: words.username, type: 'text', autocomplete: 'username', value: username, readonly: true })}
${fields.map(one => field({ ...one, autofocus: one === first }))}
<button class="main">${page.go}</button>
</form>`,
  })
}

export function passwordSetPage(frame: Frame): string {
  const words = texts[frame.language]
  const { done, doneLede } = words.newPasswordPage
  return formatPage(frame, {
    title: done,
    width: 'narrow',
    content: html`<h1>${done}</h1>
<p class="lede">${doneLede}</p>
<p class="row"><a class="button main" href="${frame.paths.signIn}">${words.signIn}</a></p>`,
  })
}
