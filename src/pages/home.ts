/** The home page: for the people who sign in here, and where the API documentation is switched on for developers. */
import { type Html, html } from './html.ts'
import { type Frame, formatPage, person } from './layout.ts'
import { texts } from './texts.ts'

export type HomeView = Readonly<{
  /** Whether the API documentation is switched on. */
  docs: boolean
}>

/** Who is signed in comes from the frame. */
export function homePage(view: HomeView, frame: Frame): string {
  const words = texts[frame.language]
  const { home } = words
  const { paths, brand } = frame
  return formatPage(frame, {
    title: brand.name,
    width: 'wide',
    content: html`<div class="hero">
<h1>${brand.name}</h1>
<p class="lede">${home.lede}</p>
${
  frame.username === undefined
    ? html`<p class="row"><a class="button main" href="${paths.signIn}">${words.signIn}</a></p>`
    : html`<p>${home.signedInAs(person(frame.username))}</p>
<p class="row"><a class="button main" href="${paths.account}">${words.account}</a><a class="button" href="${paths.password}">${words.changePassword}</a></p>`
}
</div>
${view.docs && forDevelopers(frame)}`,
  })
}

function forDevelopers({ language, paths }: Frame): Html {
  const { home } = texts[language]
  return html`<section aria-labelledby="developers">
<h2 id="developers">${home.developers}</h2>
<p class="lede">${home.developersLede}</p>
<ul class="links">
${link(paths.docs, home.docs, home.docsHint)}
${link(paths.reference, home.reference, home.referenceHint)}
${link(paths.openApi, home.openApi, home.openApiHint)}
${link(paths.metadata, home.metadata, home.metadataHint)}
</ul>
</section>`
}

function link(path: string, label: string, hint: string): Html {
  return html`<li><a href="${path}">${label}</a> <span class="hint">${hint}</span></li>`
}
