/** Asked from another site to sign out, the person is asked first; and the page after it is done. */
import { html } from './html.ts'
import { type Frame, formatPage, hidden, person } from './layout.ts'
import { signInPath } from './paths.ts'
import { texts } from './texts.ts'

export type SignOutView = Readonly<{ username: string; returnTo?: string | undefined }>

export function signOutPage(view: SignOutView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.signOutPage
  // No button to sign out in the head: the page is about one.
  return formatPage(
    { ...frame, username: undefined },
    {
      title: page.title,
      width: 'narrow',
      content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede(person(view.username))}</p>
<form class="row" method="post" action="${frame.paths.signOut}">
${hidden('return_to', view.returnTo)}
<button class="main">${words.signOut}</button>
<a class="button" href="${frame.paths.account}">${page.stay}</a>
</form>`,
    },
  )
}

export type SignedOutView = Readonly<{
  /** On every device, not on this one only. */
  everywhere: boolean
  returnTo?: string | undefined
}>

export function signedOutPage(view: SignedOutView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.signedOutPage
  return formatPage(
    { ...frame, username: undefined },
    {
      title: page.title,
      width: 'narrow',
      content: html`<h1>${page.title}</h1>
<p class="lede">${view.everywhere ? page.everywhere : page.here}</p>
<p class="row"><a class="button" href="${signInPath(frame.paths, view.returnTo)}">${page.again}</a></p>`,
    },
  )
}
