/** The pages on which people change what they are called, and take a copy of what is stored about them. */
import { formatNumber, formatWait } from './formats.ts'
import { attributes, type Html, html } from './html.ts'
import { type Language, languages } from './language.ts'
import { type Field, type Frame, field, formatPage, problemSummary } from './layout.ts'
import { texts } from './texts.ts'

export type EditProfileView = Readonly<{
  username: string
  fullName?: string | undefined
  /** Undefined for what the browser asks for. */
  language?: Language | undefined
  problem?: 'invalid' | undefined
}>

/** Posts `full_name` and `language`, '' for none. */
export function editProfilePage(view: EditProfileView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.editProfilePage
  const { paths } = frame
  const name: Field = {
    name: 'full_name',
    label: words.fullName,
    type: 'text',
    autocomplete: 'name',
    hint: page.nameHint,
    value: view.fullName,
    optional: true,
    problem: view.problem && page.invalidName,
  }
  return formatPage(
    { ...frame, username: view.username },
    {
      title: page.title,
      width: 'narrow',
      hasProblem: view.problem !== undefined,
      content: html`<h1>${page.title}</h1>
${problemSummary([name], undefined, words)}
<form class="stack" method="post" action="${paths.editProfile}">
${field(name)}
${languageField(view.language, frame)}
<button class="main">${page.go}</button>
</form>
<p class="away"><a href="${paths.account}">${words.toAccount}</a></p>`,
    },
  )
}

/** Each in itself: who reads no other finds it. */
function languageField(chosen: Language | undefined, { language }: Frame): Html {
  const page = texts[language].editProfilePage
  const option = (value: string, label: string, isChosen: boolean, lang?: string) =>
    html`<option${attributes({ value, selected: isChosen, lang })}>${label}</option>`
  return html`<div class="field">
<label for="language">${page.language}</label>
<p class="hint" id="language-hint">${page.languageHint}</p>
<select id="language" name="language" aria-describedby="language-hint">
${option('', page.browserLanguage, chosen === undefined)}
${languages.map(one => option(one, texts[one].language, one === chosen, one))}
</select>
</div>`
}

export type UsernameView = Readonly<{
  username: string
  /** As it was typed. */
  wanted?: string | undefined
  /** Days that a username is kept for its user. */
  keptDays: number
  problem?: 'missing' | 'invalid' | 'taken' | 'tooSoon' | 'tooMany' | undefined
  /** Seconds, for the last two. */
  retryAfter?: number | undefined
}>

/** Posts `username`. */
export function usernamePage(view: UsernameView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.usernamePage
  const wait = formatWait(view.retryAfter ?? 0, frame.language)
  const { problem } = view
  const wanted: Field = {
    name: 'username',
    label: page.new,
    type: 'text',
    autocomplete: 'username',
    value: view.wanted,
    problem: problem && (problem === 'tooSoon' || problem === 'tooMany' ? page[problem](wait) : page[problem]),
    autofocus: true,
  }
  return formatPage(
    { ...frame, username: view.username },
    {
      title: page.title,
      width: 'narrow',
      hasProblem: problem !== undefined,
      content: html`<h1>${page.title}</h1>
<p class="lede">${page.lede}</p>
<p>${page.kept(formatNumber(view.keptDays, frame.language))}</p>
${problemSummary([wanted], undefined, words)}
<form class="stack" method="post" action="${frame.paths.changeUsername}">
${field(wanted)}
<button class="main">${page.title}</button>
</form>
<p class="away"><a href="${frame.paths.account}">${words.toAccount}</a></p>`,
    },
  )
}

export type ExportView = Readonly<{
  username: string
  /** Seconds until there may be another one. */
  retryAfter?: number | undefined
}>

/** Posts nothing. */
export function exportPage({ username, retryAfter }: ExportView, frame: Frame): string {
  const words = texts[frame.language]
  const page = words.exportPage
  const problem = retryAfter === undefined ? undefined : page.tooSoon(formatWait(retryAfter, frame.language))
  return formatPage(
    { ...frame, username },
    {
      title: page.title,
      width: 'narrow',
      hasProblem: problem !== undefined,
      content: html`<h1>${page.title}</h1>
${problemSummary([], problem, words)}
<p class="lede">${page.lede}</p>
<ul>
${page.parts.map(part => html`<li>${part}</li>`)}
</ul>
<p>${page.careful}</p>
<form method="post" action="${frame.paths.exportAccount}"><button class="main">${page.go}</button></form>
<p class="away"><a href="${frame.paths.account}">${words.toAccount}</a></p>`,
    },
  )
}
