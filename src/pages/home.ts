/** The home page: what this is, for the people who sign in here and for developers. */
import { type Html, html } from './html.ts'
import { type Frame, formatPage, person } from './layout.ts'
import { texts } from './texts.ts'

export type HomeView = Readonly<{
  /** Which viewers of the API documentation are switched on. */
  docs: boolean
  reference: boolean
}>

/** Who is signed in comes from the frame. */
export function homePage(view: HomeView, frame: Frame): string {
  const words = texts[frame.language]
  const { home } = words
  const { paths } = frame
  return formatPage(frame, {
    title: frame.brand.name,
    width: 'wide',
    content: html`<div class="hero">
<h1>${frame.brand.name}</h1>
<p class="lede">${home.lede}</p>
${
  frame.username === undefined
    ? html`<p class="row"><a class="button main" href="${paths.signIn}">${words.signIn}</a></p>`
    : html`<p>${home.signedInAs(person(frame.username))}</p>
<p class="row"><a class="button main" href="${paths.account}">${words.account}</a></p>`
}
</div>
<section aria-labelledby="developers">
<h2 id="developers">${home.developers}</h2>
<p class="lede">${home.developersLede}</p>
<ul class="links">
${view.docs && link(paths.docs, home.docs, home.docsHint)}
${view.reference && link(paths.reference, home.reference, home.referenceHint)}
${view.docs && link(paths.openApi, home.openApi, home.openApiHint)}
${link(paths.metadata, home.metadata, home.metadataHint)}
</ul>
</section>`,
  })
}

function link(path: string, label: string, hint: string): Html {
  return html`<li><a href="${path}">${label}</a> <span class="hint">${hint}</span></li>`
}
