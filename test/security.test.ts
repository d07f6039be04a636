/**
 * The documents name tests that there are, and answer every requirement of the chapters that they say they answer; each package
 * that we depend on has its reason.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { documentAt, documents } from './_documents.ts'
import { findTest } from './conformance/_titles.ts'

const root = join(import.meta.dirname, '..')

test('every test that a document names is there', t => {
  const references = documents.flatMap(({ text }) =>
    [...text.matchAll(/`([^`\n]* › [^`\n]*)`/g)].map(([, reference]) => reference!),
  )
  t.true(references.length > 120)
  t.deepEqual(
    references.filter(reference => findTest(reference) !== 'shown'),
    [],
  )
})

test('every direct dependency has its reason in CONTRIBUTING.md, and no other package has one', t => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const part = /^## Dependencies$(.*?)^Only for tests/ms.exec(readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8'))![1]!
  const justified = [...part.matchAll(/^\| (?!package |-)(.*?) \| .+ \|$/gm)].flatMap(([, names]) => names!.split(', '))
  t.deepEqual(justified.sort(), Object.keys(dependencies).sort())
})

/** How many requirements each section of OWASP ASVS 5.0 has. */
const sections: Record<string, readonly number[]> = {
  V6: [3, 12, 8, 6, 8, 4, 2, 3],
  V7: [3, 4, 2, 5, 3, 2],
  V9: [3, 4],
  V10: [2, 3, 5, 16, 5, 2, 3],
}

for (const [chapter, counts] of Object.entries(sections)) {
  test(`docs/asvs.md answers every requirement of ASVS ${chapter}, once`, t => {
    const part = new RegExp(`^## ${chapter} .*?(?=^## |$(?![^]))`, 'ms').exec(documentAt('docs/asvs.md').text)![0]
    const answered = [...part.matchAll(/^\| ([\d., –]+) \|/gm)].flatMap(([, numbers]) =>
      numbers!.split(', ').flatMap(expand),
    )
    const expected = counts.flatMap((count, i) => {
      return Array.from({ length: count }, (_, j) => `${chapter.slice(1)}.${i + 1}.${j + 1}`)
    })
    t.deepEqual(answered.sort(), expected.sort())
  })
}

/** `6.5.1–6.5.8` is eight of them. */
function expand(range: string): string[] {
  const [first = '', last = first] = range.split('–')
  const section = first.slice(0, first.lastIndexOf('.'))
  const number = (name: string) => Number(name.slice(name.lastIndexOf('.') + 1))
  return Array.from({ length: number(last) - number(first) + 1 }, (_, i) => `${section}.${number(first) + i}`)
}
