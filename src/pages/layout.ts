/** What all pages share: the document around them, notices, and fields with their problems. */
import { type Brand, isWord, type Logo, latchkey } from './brand.ts'
import { visible } from './formats.ts'
import { attributes, type Content, formatHtml, type Html, html } from './html.ts'
import type { Language } from './language.ts'
import { assetPath, type Paths, scriptPath, styleSheetPath } from './paths.ts'
import { type Texts, texts } from './texts.ts'

/** What a page needs besides its own view. */
export type Frame = Readonly<{
  language: Language
  paths: Paths
  brand: Brand
  /** Of the stylesheet's content, as in its URL. */
  styleHash: string
  /** The same of the script. */
  scriptHash: string
  /** Who is signed in, for the head of pages that do not know it from their view. */
  username?: string | undefined
}>

export type Page = Readonly<{
  title: string
  /** Wide pages are read, narrow ones answered. */
  width: 'wide' | 'narrow'
  content: Content
  /** The page shows what is wrong with what was typed. */
  hasProblem?: boolean | undefined
}>

export function formatPage(frame: Frame, { title, width, content, hasProblem }: Page): string {
  const words = texts[frame.language]
  const { name } = frame.brand
  const fullTitle = title === name ? title : `${title} – ${name}`
  return formatHtml(html`<!doctype html>
<html lang="${frame.language}">
<head>
<meta charset="utf-8">
<title>${hasProblem ? words.titleWithProblem(fullTitle) : fullTitle}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="stylesheet" href="${styleSheetPath(frame.paths, frame.styleHash)}">
<link rel="icon" href="${iconPath(frame)}">
<script src="${scriptPath(frame.paths, frame.scriptHash)}" defer data-show="${words.show}" data-hide="${words.hide}"></script>
</head>
<body>
<a class="skip" href="#main">${words.skipToContent}</a>
<header class="top">
${brandLink(frame)}
${frame.username !== undefined && signedIn(frame.username, frame.paths, words)}
</header>
<main id="main" class="${width}">
${width === 'narrow' ? html`<div class="sheet">${content}</div>` : content}
</main>
</body>
</html>
`)
}

function brandLink({ brand, paths }: Frame): Html {
  const { name, url, logo } = brand
  return html`<a class="brand" href="${url ?? paths.home}">${logo === undefined ? name === latchkey.name && mark : picture(logo, name, paths)} ${(logo === undefined || !isWord(logo)) && person(name)}</a>`
}

/** Beside the name it says nothing that the name does not. */
function picture(logo: Logo, name: string, paths: Paths): Html {
  const alt = isWord(logo) ? name : ''
  // Room for it before it is there; how large it is, the stylesheet says.
  const [width, height] = [Math.max(1, Math.round((32 * logo.width) / logo.height)), 32]
  return html`<img src="${assetPath(paths, logo.file)}" width="${width}" height="${height}" alt="${alt}">`
}

/** A logo that is no word is small enough for a tab. */
function iconPath({ brand: { logo }, paths }: Frame): string {
  return logo === undefined || isWord(logo) ? paths.icon : assetPath(paths, logo.file)
}

const mark = html`<svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false"><path d="M12 1.5a7 7 0 0 0-3.2 13.2L7.5 22h9l-1.3-7.3A7 7 0 0 0 12 1.5Zm0 4.2a2.8 2.8 0 0 1 1.3 5.3l1 6h-4.6l1-6A2.8 2.8 0 0 1 12 5.7Z"/></svg>`

function signedIn(username: string, paths: Paths, words: Texts): Html {
  return html`<nav aria-label="${words.account}">
<a class="who" href="${paths.account}">${person(username)}</a>
<form method="post" action="${paths.signOut}"><button class="quiet">${words.signOut}</button></form>
</nav>`
}

/** What somebody else wrote, all of it visible, kept from changing the direction of the words around it. */
export function person(name: string): Html {
  return html`<bdi translate="no">${visible(name)}</bdi>`
}

/** What else there is to do than what a narrow page is about, below it. Nothing where there is nothing. */
export function away(...links: readonly (Link | false | undefined)[]): Content {
  const there = links.filter(link => link !== undefined && link !== false)
  return (
    there.length > 0 &&
    html`<p class="away">${there.map(({ href, label }) => html`<a href="${href}">${label}</a> `)}</p>`
  )
}

export type Link = Readonly<{ href: string; label: string }>

/** Says what has just been done. */
export function notice(text: Content): Html {
  return html`<p class="notice" role="status">${text}</p>`
}

export function hidden(name: string, value: string | undefined): Content {
  return value !== undefined && html`<input type="hidden" name="${name}" value="${value}">`
}

export type Field = Readonly<{
  name: string
  label: string
  type: 'text' | 'password'
  autocomplete:
    | 'username'
    | 'username webauthn'
    | 'current-password'
    | 'new-password'
    | 'one-time-code'
    | 'email'
    | 'name'
    | 'off'
  /** Which keys a telephone shows first. */
  inputmode?: 'email' | 'numeric' | undefined
  /** What is typed is a code. */
  isCode?: boolean | undefined
  hint?: string | undefined
  problem?: string | undefined
  value?: string | undefined
  /** The field is part of a problem that is told above the form. */
  questioned?: boolean | undefined
  minlength?: number | undefined
  autofocus?: boolean | undefined
  /** May be left empty. */
  optional?: boolean | undefined
  maxlength?: number | undefined
  /** Said, not asked. */
  readonly?: boolean | undefined
}>

const formProblemId = 'problem'

/** A label, a hint, a problem and an input, tied together for those who hear them. */
export function field(one: Field): Html {
  const { name, problem, hint } = one
  const describedBy = [
    one.questioned && formProblemId,
    hint !== undefined && `${name}-hint`,
    problem !== undefined && `${name}-problem`,
  ].filter(id => id !== false && id !== undefined)
  const input = attributes({
    id: name,
    name,
    type: one.type,
    autocomplete: one.autocomplete,
    inputmode: one.inputmode,
    required: !one.readonly && !one.optional,
    readonly: one.readonly,
    minlength: one.minlength,
    maxlength: one.maxlength,
    class: one.isCode && 'code',
    value: one.value,
    autocapitalize: 'none',
    autocorrect: 'off',
    spellcheck: 'false',
    'aria-describedby': describedBy.length === 0 ? undefined : describedBy.join(' '),
    'aria-invalid': problem !== undefined || one.questioned ? 'true' : undefined,
    autofocus: one.autofocus,
  })
  return html`<div class="field">
<label for="${name}">${one.label}</label>
${hint !== undefined && html`<p class="hint" id="${name}-hint">${hint}</p>`}
${problem !== undefined && html`<p class="problem" id="${name}-problem">${problem}</p>`}
<input${input}>
</div>`
}

/** Everything that is wrong, before the form: each problem leads to its field. */
export function problemSummary(fields: readonly Field[], formProblem: string | undefined, words: Texts): Content {
  const wrong = fields.filter(({ problem }) => problem !== undefined)
  if (wrong.length === 0 && formProblem === undefined) return undefined
  return html`<div class="summary" role="alert" id="${formProblemId}">
${
  formProblem !== undefined
    ? html`<p>${formProblem}</p>`
    : html`<h2>${words.problems}</h2>
<ul>${wrong.map(({ name, problem }) => html`<li><a href="#${name}">${problem}</a></li>`)}</ul>`
}
</div>`
}
