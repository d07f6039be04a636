/** The page to change one's password. The new one is asked for twice: without a script nobody can look at what they typed. */

import { formatNumber, formatWait } from './formats.ts'
import { html } from './html.ts'
import { type Field, type Frame, field, formatPage, problemSummary } from './layout.ts'
import { type Texts, texts } from './texts.ts'

export type ChangePasswordView = Readonly<{
  /** Whose password: password managers keep the new one under this name. */
  username: string
  /** What a new password takes, in characters. */
  shortest: number
  longest: number
  problems?:
    | (Readonly<{
        form?: 'try_later' | undefined
        currentPassword?: 'missing' | 'wrong' | 'too_long' | undefined
      }> &
        NewPasswordProblems)
    | undefined
  /** Seconds, for `try_later`. */
  retryAfter?: number | undefined
}>

/** What is wrong with a new password that was typed twice. */
export type NewPasswordProblems = Readonly<{
  newPassword?:
    | 'missing'
    | 'too_short'
    | 'too_long'
    | 'too_common'
    | 'breached'
    | 'own_name'
    | 'not_typeable'
    | undefined
  repeat?: 'missing' | 'different' | undefined
}>

/** Posts `current_password`, `new_password` and `new_password_repeat`. */
export function changePasswordPage(view: ChangePasswordView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.passwordPage
  const { form, currentPassword, newPassword, repeat } = view.problems ?? {}
  const fields: Field[] = [
    {
      name: 'current_password',
      label: page.old,
      type: 'password',
      autocomplete: 'current-password',
      problem: currentPassword && words.problem.currentPassword[currentPassword],
    },
    ...newPasswordFields(view, { newPassword, repeat }, frame),
  ]
  const first = fields.find(({ problem }) => problem !== undefined) ?? fields[0]
  const wait = view.retryAfter === undefined ? undefined : formatWait(view.retryAfter, frame.language)
  return formatPage(
    { ...frame, username: view.username },
    {
      title: words.changePassword,
      width: 'narrow',
      hasProblem:
        form !== undefined || currentPassword !== undefined || newPassword !== undefined || repeat !== undefined,
      content: html`<h1>${words.changePassword}</h1>
<p class="lede">${page.lede}</p>
${problemSummary(fields, form && words.problem.try_later(wait), words)}
<form class="stack" method="post" action="${frame.paths.password}">
${field({ name: 'username', label: words.username, type: 'text', autocomplete: 'username', value: view.username, readonly: true })}
${fields.map(one => field({ ...one, autofocus: one === first }))}
<button class="main">${words.changePassword}</button>
</form>
<p><a href="${frame.paths.account}">${words.toAccount}</a></p>`,
    },
  )
}

/** @param lengths what a new password takes, in characters */
export function newPasswordFields(
  lengths: Pick<ChangePasswordView, 'shortest' | 'longest'>,
  { newPassword, repeat }: NewPasswordProblems,
  frame: Frame,
): Field[] {
  const words = texts[frame.language]
  const page = words.passwordPage
  return [
    {
      name: 'new_password',
      label: page.new,
      type: 'password',
      autocomplete: 'new-password',
      hint: page.newHint(formatNumber(lengths.shortest, frame.language)),
      minlength: lengths.shortest,
      problem: newPassword && newPasswordProblem(newPassword, lengths, frame, words),
    },
    {
      name: 'new_password_repeat',
      label: page.repeat,
      type: 'password',
      autocomplete: 'new-password',
      problem: repeat && words.problem.repeat[repeat],
    },
  ]
}

type NewPasswordProblem = NonNullable<NewPasswordProblems['newPassword']>

function newPasswordProblem(
  problem: NewPasswordProblem,
  lengths: Pick<ChangePasswordView, 'shortest' | 'longest'>,
  frame: Frame,
  words: Texts,
): string {
  const { newPassword } = words.problem
  switch (problem) {
    case 'too_short':
      return newPassword.too_short(formatNumber(lengths.shortest, frame.language))
    case 'too_long':
      return newPassword.too_long(formatNumber(lengths.longest, frame.language))
    default:
      return newPassword[problem]
  }
}
