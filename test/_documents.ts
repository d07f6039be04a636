/** The documents of the repository, read as a reader sees them: blocks of code, headings, links, code within a line. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { root } from './_process.ts'

export type Block = Readonly<{
  language: string
  /** What follows the language on the fence; GitHub shows nothing of it. */
  mark: string
  text: string
  /** The heading above it. */
  section: string
}>

export type Document = Readonly<{ path: string; text: string; blocks: readonly Block[] }>

const folders = ['', 'docs', 'examples', 'bench', 'test/conformance']

export const documents: readonly Document[] = folders.flatMap(folder =>
  readdirSync(join(root, folder))
    .filter(name => name.endsWith('.md'))
    .map(name => readDocument(join(folder, name))),
)

export function documentAt(path: string): Document {
  const document = documents.find(other => other.path === path)
  if (document === undefined) throw new Error(`there is no document ${path}`)
  return document
}

function readDocument(path: string): Document {
  const text = readFileSync(join(root, path), 'utf8')
  const parts = text.matchAll(/^```(\w*) ?(.*)\n([\s\S]*?)^```$|^#+ (.*)$/gm)
  let section = ''
  const blocks: Block[] = []
  for (const [, language, mark = '', code, heading] of parts) {
    if (heading !== undefined) section = heading
    else blocks.push({ language: language!, mark, text: code!, section })
  }
  return { path, text, blocks }
}

/** The document without its blocks of code. */
export function proseOf({ text }: Document): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '')
}

/** What stands in backquotes within a line. */
export function inlineCodeOf(document: Document): string[] {
  return [...proseOf(document).matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!)
}

/** As GitHub names the anchors of headings. */
export function anchorsOf({ text }: Document): Set<string> {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading)
  const strip = (heading: string) => heading.toLowerCase().replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
  return new Set(headings.map(heading => strip(heading).replaceAll(' ', '-')))
}

export type Link = Readonly<{ written: string; path: string; anchor: string | undefined }>

/** Links to files of the repository and to headings; those to other sites are left out. */
export function linksOf(document: Document): Link[] {
  const written = [...proseOf(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!)
  return written
    .filter(target => !/^(?:https?|mailto):/.test(target))
    .map(target => {
      const [file, anchor] = target.split('#')
      const path = file === '' ? document.path : normalize(join(dirname(document.path), file!))
      return { written: target, path, anchor }
    })
}
