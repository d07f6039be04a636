/** Writes `README.md` from the conformance table: `node test/conformance/render.ts`. */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Row } from './_row.ts'
import { findTest, parseReference } from './_titles.ts'
import { type Rfc, table } from './table.ts'

const file = new URL('README.md', import.meta.url)

const head = `# What the RFCs ask, and what shows it

Every MUST, SHOULD and RECOMMENDED of the RFCs that Latchkey follows, in words of ours, each with the test that shows it, or
with the reason why it does not apply here. A test holds this page to the tests that there are. It is made by
\`node test/conformance/render.ts\` from the files beside it.
`

export function renderTable(): string {
  const sections = [head, renderTotals(), renderDeviations(), ...table.map(renderRfc)]
  return `${sections.join('\n')}`
}

export function readRendered(): string {
  return readFileSync(file, 'utf8')
}

type Kind = 'shown' | 'notMet' | 'doesNotApply' | 'onPurpose'

function kindOf(row: Row): Kind {
  if (row.test !== undefined) return findTest(row.test) === 'failing' ? 'notMet' : 'shown'
  return row.onPurpose ? 'onPurpose' : 'doesNotApply'
}

function renderTotals(): string {
  const lines = table.map(({ number, title, rows }) => {
    return cells([`[RFC ${number}](#rfc-${number})`, title, ...counts(rows)])
  })
  const all = cells(['', 'all of them', ...counts(table.flatMap(({ rows }) => rows))])
  const header = ['', '', 'requirements', 'shown by a test', 'do not apply', 'otherwise on purpose', 'not met yet']
  return `${[cells(header), cells(['---', '---', ...Array(5).fill('---:')]), ...lines, all].join('\n')}\n`
}

function counts(rows: readonly Row[]): string[] {
  const of = (kind: Kind) => rows.filter(row => kindOf(row) === kind).length
  return [rows.length, of('shown'), of('doesNotApply'), of('onPurpose'), of('notMet')].map(String)
}

function renderDeviations(): string {
  const lines = table.flatMap(({ number, rows }) =>
    rows.flatMap(row => {
      const kind = kindOf(row)
      const what = `RFC ${number} §${row.section}, ${row.level}: ${row.requirement}`
      if (kind === 'onPurpose') return [`- ${what}. Otherwise on purpose: ${row.why}.`]
      return kind === 'notMet' ? [`- ${what}. **Not met yet.**`] : []
    }),
  )
  return `## Where Latchkey does otherwise\n\n${lines.join('\n')}\n`
}

function renderRfc({ number, title, scope, rows }: Rfc): string {
  const lines = rows.map(row => cells([`§${row.section}`, row.level, row.requirement, renderEvidence(row)]))
  const header = [cells(['section', 'level', 'requirement', 'shown by, or why not']), cells(Array(4).fill('---'))]
  return `## RFC ${number}\n\n[${title}](https://www.rfc-editor.org/rfc/rfc${number}). ${scope}\n\n${[...header, ...lines].join('\n')}\n`
}

function renderEvidence(row: Row): string {
  if (row.test === undefined) return row.onPurpose ? `otherwise on purpose: ${row.why}` : `does not apply: ${row.why}`
  const { file: name, title } = parseReference(row.test)!
  const link = name.startsWith('conformance/') ? name.slice('conformance/'.length) : `../${name}`
  return `${kindOf(row) === 'notMet' ? '**not met yet:** ' : ''}[${name}](${link}.test.ts): ${title}`
}

function cells(texts: readonly string[]): string {
  return `| ${texts.map(text => text.replaceAll(/[|*<]/g, '\\$&')).join(' | ')} |`
}

if (import.meta.main) writeFileSync(file, renderTable())
