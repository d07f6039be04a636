/**
 * The titles of tests, read from their sources: what is written as the first argument of `test()` at the start of a line.
 * A title that a loop makes is a template; what it puts in is one of the texts in quotes of the same file.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** `file` is the path below test/, without `.test.ts`. */
export type TestReference = Readonly<{ file: string; title: string }>

/** A test that is marked `test.failing` says that the requirement is not met yet. */
export type Titles = Readonly<{ isShown: (title: string) => boolean; isFailing: (title: string) => boolean }>

const testFolder = fileURLToPath(new URL('../', import.meta.url))

/** @param reference as AVA prints it: folders, file and title, such as `users › password › a hash is …` */
export function parseReference(reference: string): TestReference | undefined {
  const parts = reference.split(' › ')
  const title = parts.pop()
  return title && parts.length > 0 && parts.every(part => /^\w+$/.test(part))
    ? { file: parts.join('/'), title }
    : undefined
}

/** @returns whether the test that a row names is there, and whether it is expected to fail */
export function findTest(reference: string): 'shown' | 'failing' | 'missing' {
  const parsed = parseReference(reference)
  const titles = parsed && readTitles(parsed.file)
  if (parsed === undefined || titles === undefined) return 'missing'
  if (titles.isShown(parsed.title)) return 'shown'
  return titles.isFailing(parsed.title) ? 'failing' : 'missing'
}

const known = new Map<string, Titles>()

function readTitles(file: string): Titles | undefined {
  const path = `${testFolder}${file}.test.ts`
  if (!known.has(file) && existsSync(path)) known.set(file, titlesOf(readFileSync(path, 'utf8')))
  return known.get(file)
}

/** Skipped tests are no tests here, and neither is what is commented out. */
export function titlesOf(source: string): Titles {
  const shown: RegExp[] = []
  const failing: RegExp[] = []
  const fillings = textsOf(source)
  const call =
    /^[ \t]*test(?:Machine|FullDisk|Process|Terminal)?(?:\.serial)?(?<failing>\.failing)?\(\s*(?<text>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)/gm
  for (const { groups } of source.matchAll(call)) {
    const { text, failing: mark } = groups!
    ;(mark === undefined ? shown : failing).push(titlePattern(text!, fillings))
  }
  return {
    isShown: title => shown.some(pattern => pattern.test(title)),
    isFailing: title => failing.some(pattern => pattern.test(title)),
  }
}

function titlePattern(text: string, fillings: readonly string[]): RegExp {
  const parts = text.startsWith('`') ? unquote(text).split(/\$\{[^}]*\}/) : [unquote(text)]
  const filling = `(?:\\*|${fillings.map(escapePattern).join('|')})`
  return new RegExp(`^${parts.map(escapePattern).join(filling)}$`)
}

/** Every text in quotes, and as `JSON.stringify` shows it. */
function textsOf(source: string): string[] {
  const texts = source.match(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g) ?? []
  return [...new Set(texts.map(unquote).flatMap(text => [text, JSON.stringify(text)]))]
}

function unquote(text: string): string {
  return text.slice(1, -1).replaceAll(/\\(.)/g, '$1')
}

function escapePattern(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
