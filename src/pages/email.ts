/** The pages about the address of an account: whether it is confirmed, another one, and what the links of their mails lead to. */
import { cut, formatWait } from './formats.ts'
import { html } from './html.ts'
import { type Field, type Frame, field, formatPage, person, problemSummary } from './layout.ts'
import { mailPath } from './paths.ts'
import { type Texts, texts } from './texts.ts'

/** Characters that are shown of an address from before there was a rule. */
const maxShown = 256

export type EmailView = Readonly<{
  username: string
  email?: string | undefined
  isVerified: boolean
  /** Whether a mail may go to it. */
  isMailable: boolean
  problem?: 'try_later' | undefined
  /** Seconds. */
  retryAfter?: number | undefined
}>

/** Posts nothing, for a mail that confirms the address. */
export function emailPage(view: EmailView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.emailPage
  const wait = view.retryAfter === undefined ? undefined : formatWait(view.retryAfter, frame.language)
  const { email, isVerified } = view
  return formatPage(
    { ...frame, username: view.username },
    {
      title: page.title,
      width: 'narrow',
      hasProblem: view.problem !== undefined,
      content: html`<h1>${page.title}</h1>
${problemSummary([], view.problem && page.later(wait), words)}
${
  email === undefined
    ? html`<p class="lede">${page.none}</p>`
    : html`<p class="lede">${person(cut(email, maxShown))}</p>
<p>${isVerified ? page.verified : page.unverified}</p>`
}
${
  email !== undefined &&
  !isVerified &&
  view.isMailable &&
  html`<form method="post" action="${frame.paths.verifyEmail}"><button class="main">${page.verify}</button></form>`
}
<p class="row"><a class="button" href="${frame.paths.changeEmail}">${email === undefined ? page.add : page.change}</a></p>
<p class="away"><a href="${frame.paths.account}">${words.toAccount}</a></p>`,
    },
  )
}

export type ChangeEmailView = Readonly<{
  username: string
  /** As it was typed. */
  email?: string | undefined
  problem?: keyof Texts['changeEmailPage']['problem'] | 'try_later' | 'too_many' | undefined
  /** Seconds, for the last two. */
  retryAfter?: number | undefined
}>

/** Posts `email`. */
export function changeEmailPage({ username, email, problem, retryAfter }: ChangeEmailView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.changeEmailPage
  const wait = retryAfter === undefined ? undefined : formatWait(retryAfter, frame.language)
  const isOfForm = problem === 'try_later' || problem === 'too_many'
  const ofForm = problem === 'too_many' ? page.tooMany(wait ?? '') : words.emailPage.later(wait)
  const fields: Field[] = [
    {
      name: 'email',
      label: page.field,
      type: 'text',
      inputmode: 'email',
      autocomplete: 'email',
      value: email,
      problem: problem === undefined || isOfForm ? undefined : page.problem[problem],
      autofocus: true,
    },
  ]
  return formatPage(
    { ...frame, username },
    {
      title: page.title,
      width: 'narrow',
      hasProblem: problem !== undefined,
      content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede}</p>
${problemSummary(fields, isOfForm ? ofForm : undefined, words)}
<form class="stack" method="post" action="${frame.paths.changeEmail}">
${fields.map(field)}
<button class="main">${page.go}</button>
</form>
<p class="away"><a href="${frame.paths.email}">${words.toAccount}</a></p>`,
    },
  )
}

export type EmailLinkPurpose = keyof Texts['emailLinkPage']

/** What a link leads to: one button, which posts nothing. @param username of who is signed in, where that matters */
export function emailLinkPage(
  { purpose, address, username }: Readonly<{ purpose: EmailLinkPurpose; address: string; username?: string }>,
  frame: Frame,
): string {
  const page = texts[frame.language].emailLinkPage[purpose]
  return formatPage(
    { ...frame, username },
    {
      title: page.title,
      width: 'narrow',
      content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede(person(address))}</p>
<form method="post" action="${mailPath(frame.paths, purpose)}"><button class="main">${page.go}</button></form>`,
    },
  )
}

export type EmailDoneState = Exclude<keyof Texts['emailDonePage'], 'newPassword'>

/** What has become of it. */
export function emailDonePage(state: EmailDoneState, frame: Frame): string {
  const words = texts[frame.language]
  const { title, lede } = words.emailDonePage[state]
  const isRestored = state === 'restored' || state === 'already_restored'
  return formatPage(
    { ...frame, username: undefined },
    {
      title,
      width: 'narrow',
      content: html`<h1>${title}</h1>
<p class="lede">${lede}</p>
<p class="row">${
        isRestored
          ? html`<a class="button main" href="${frame.paths.forgotPassword}">${words.emailDonePage.newPassword}</a>`
          : html`<a class="button" href="${frame.paths.account}">${words.account}</a>`
      }</p>`,
    },
  )
}
