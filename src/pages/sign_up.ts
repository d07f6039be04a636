/** The pages of a sign-up: the address first, and when it is proved what one signs in with. */
import { formatNumber, formatWait } from './formats.ts'
import { html } from './html.ts'
import { type Field, type Frame, field, formatPage, person, problemSummary } from './layout.ts'
import { signInPath } from './paths.ts'
import { type Texts, texts } from './texts.ts'

export type SignUpView = Readonly<{
  /** As it was typed. */
  email?: string | undefined
  problem?: keyof Texts['signUpPage']['problem'] | 'try_later' | undefined
  /** Seconds, for `try_later`. */
  retryAfter?: number | undefined
}>

/** Posts `email`. */
export function signUpPage({ email, problem, retryAfter }: SignUpView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.signUpPage
  const wait = retryAfter === undefined ? undefined : formatWait(retryAfter, frame.language)
  const fields: Field[] = [
    {
      name: 'email',
      label: words.email,
      type: 'text',
      inputmode: 'email',
      autocomplete: 'email',
      value: email,
      problem: problem === undefined || problem === 'try_later' ? undefined : page.problem[problem],
      autofocus: true,
    },
  ]
  return formatPage(frame, {
    title: page.title,
    width: 'narrow',
    hasProblem: problem !== undefined,
    content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede}</p>
${problemSummary(fields, problem === 'try_later' ? page.try_later(wait) : undefined, words)}
<form class="stack" method="post" action="${frame.paths.signUp}">
${fields.map(field)}
<button class="main">${page.go}</button>
</form>
<p class="away"><a href="${frame.paths.signIn}">${page.have}</a></p>`,
  })
}

export type NewAccountView = Readonly<{
  /** Where the form goes. */
  action: string
  /** What was proved to be theirs. */
  address: string
  username?: string | undefined
  fullName?: string | undefined
  /** What a password and a username take, in characters. */
  shortest: number
  longest: number
  longestName: number
  problems?:
    | Readonly<{
        form?: 'try_later' | undefined
        username?: keyof Texts['newAccountPage']['username'] | undefined
        fullName?: boolean | undefined
        password?: keyof Texts['problem']['newPassword'] | undefined
      }>
    | undefined
  /** Seconds, for `try_later`. */
  retryAfter?: number | undefined
}>

/** Posts `username`, `full_name` and `password`. */
export function newAccountPage(view: NewAccountView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.newAccountPage
  const problems = view.problems ?? {}
  const wait = view.retryAfter === undefined ? undefined : formatWait(view.retryAfter, frame.language)
  const fields: Field[] = [
    {
      name: 'username',
      label: words.username,
      type: 'text',
      autocomplete: 'username',
      hint: page.usernameHint,
      value: view.username,
      problem: problems.username && usernameProblem(problems.username, view, frame, words),
    },
    {
      name: 'full_name',
      label: page.name,
      type: 'text',
      autocomplete: 'name',
      hint: page.nameHint,
      value: view.fullName,
      optional: true,
      problem: problems.fullName ? page.fullName : undefined,
    },
    {
      name: 'password',
      label: page.password,
      type: 'password',
      autocomplete: 'new-password',
      hint: words.passwordPage.newHint(formatNumber(view.shortest, frame.language)),
      minlength: view.shortest,
      problem: problems.password && passwordProblem(problems.password, view, frame, words),
    },
  ]
  const first =
    fields.find(({ problem }) => problem !== undefined) ?? (view.username === undefined ? fields[0] : fields[2])
  return formatPage(frame, {
    title: page.title,
    width: 'narrow',
    hasProblem: Object.values(problems).some(problem => problem !== undefined && problem !== false),
    content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede(person(view.address))}</p>
${problemSummary(fields, problems.form && page.try_later(wait), words)}
<form class="stack" method="post" action="${view.action}">
${fields.map(one => field({ ...one, autofocus: one === first }))}
<button class="main">${page.go}</button>
</form>`,
  })
}

type Problems = NonNullable<NewAccountView['problems']>

function usernameProblem(
  problem: NonNullable<Problems['username']>,
  { longestName }: NewAccountView,
  { language }: Frame,
  words: Texts,
): string {
  const page = words.newAccountPage.username
  return problem === 'too_long' ? page.too_long(formatNumber(longestName, language)) : page[problem]
}

function passwordProblem(
  problem: NonNullable<Problems['password']>,
  { shortest, longest }: NewAccountView,
  { language }: Frame,
  words: Texts,
): string {
  const { newPassword } = words.problem
  switch (problem) {
    case 'too_short':
      return newPassword.too_short(formatNumber(shortest, language))
    case 'too_long':
      return newPassword.too_long(formatNumber(longest, language))
    default:
      return newPassword[problem]
  }
}

/** For who comes back to a sign-up that has been done. */
export function haveAccountPage(frame: Frame): string {
  const words = texts[frame.language]
  const page = words.haveAccountPage
  return formatPage(frame, {
    title: page.title,
    width: 'narrow',
    content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede}</p>
<p class="row"><a class="button main" href="${signInPath(frame.paths, undefined)}">${words.signIn}</a></p>`,
  })
}
