/** The pages on which people delete their account, and take that back. */
import { formatDay, formatNumber } from './formats.ts'
import { attributes, html } from './html.ts'
import { type Frame, formatPage, hidden, person } from './layout.ts'
import { mailPath, signInPath } from './paths.ts'
import { texts } from './texts.ts'

export type DeleteAccountView = Readonly<{
  username: string
  /** Days until it is gone, and those that its username is kept. */
  delayDays: number
  keptDays: number
  /** Whether there will be a mail with a link that undoes it. */
  isMailed: boolean
  /** What was not ticked. */
  problem?: 'not_sure' | undefined
}>

/** Posts `when`, and `sure` for what cannot be undone. */
export function deleteAccountPage(view: DeleteAccountView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.deletePage
  const { paths } = frame
  const days = (count: number) => formatNumber(count, frame.language)
  const hasProblem = view.problem !== undefined
  const sure = attributes({
    type: 'checkbox',
    id: 'sure',
    name: 'sure',
    value: 'yes',
    required: true,
    'aria-invalid': hasProblem && 'true',
    'aria-describedby': hasProblem && 'sure-problem',
    autofocus: hasProblem,
  })
  return formatPage(
    { ...frame, username: view.username },
    {
      title: page.title,
      width: 'narrow',
      hasProblem,
      content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede(person(view.username))}</p>
<ul>
${page.lost.map(one => html`<li>${one}</li>`)}
</ul>
<p>${page.kept(days(view.keptDays))}</p>
<p>${page.laterLede(days(view.delayDays))} ${view.isMailed ? page.laterMailed : page.laterAsk}</p>
<form class="row" method="post" action="${paths.deleteAccount}">
${hidden('when', 'later')}
<button class="danger">${page.later}</button>
<a class="button" href="${paths.account}">${page.stay}</a>
</form>
<section aria-labelledby="now">
<h2 id="now">${page.nowTitle}</h2>
<p>${page.nowLede}</p>
<form class="stack" method="post" action="${paths.deleteAccount}">
${hidden('when', 'now')}
<div class="tick">
${hasProblem && html`<p class="problem" id="sure-problem" role="alert">${page.notSure}</p>`}
<label for="sure"><input${sure}> ${page.sure}</label>
</div>
<button class="danger">${page.now}</button>
</form>
</section>`,
    },
  )
}

/** `deleteAt` in seconds since the epoch; undefined for what is gone already. */
export type DeletedView = Readonly<{ deleteAt?: number | undefined; isMailed: boolean }>

/** Nobody is signed in any more. */
export function deletedPage({ deleteAt, isMailed }: DeletedView, frame: Frame): string {
  const page = texts[frame.language].deletedPage
  const title = deleteAt === undefined ? page.goneTitle : page.title
  return formatPage(
    { ...frame, username: undefined },
    {
      title,
      width: 'narrow',
      content: html`<h1>${title}</h1>
<p class="lede">${deleteAt === undefined ? page.gone : page.later(formatDay(deleteAt, frame.language))}</p>
${deleteAt !== undefined && html`<p>${isMailed ? page.mailed : page.ask}</p>`}
<p class="away"><a href="${frame.paths.home}">${texts[frame.language].toHome}</a></p>`,
    },
  )
}

/** The page that a link in a mail leads to. Posts nothing. */
export function undoDeletionPage(frame: Frame): string {
  const page = texts[frame.language].undoDeletionPage
  return formatPage(
    { ...frame, username: undefined },
    {
      title: page.title,
      width: 'narrow',
      content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede}</p>
<form method="post" action="${mailPath(frame.paths, 'deletion_notice')}"><button class="main">${page.go}</button></form>`,
    },
  )
}

export type UndoneView = 'undone' | 'already_undone' | 'still_disabled'

/** What has become of it. */
export function deletionUndonePage(outcome: UndoneView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.undoDeletionPage
  const isDisabled = outcome === 'still_disabled'
  return formatPage(
    { ...frame, username: undefined },
    {
      title: page.done,
      width: 'narrow',
      content: html`<h1>${page.done}</h1>
<p class="lede">${page[outcome]}</p>
<p class="row"><a class="button" href="${isDisabled ? frame.paths.home : signInPath(frame.paths, undefined)}">${isDisabled ? words.toHome : words.signIn}</a></p>`,
    },
  )
}
