/** The conformance table is whole, names tests that there are, and is what `README.md` shows. */
import test from 'ava'
import { levels } from './_row.ts'
import { findTest, titlesOf } from './_titles.ts'
import { readRendered, renderTable } from './render.ts'
import { table } from './table.ts'

const everyRow = table.flatMap(({ number, rows }) => rows.map(row => ({ number, ...row })))

test('every RFC that Latchkey follows has its rows', t => {
  const numbers = [6749, 6750, 7009, 7517, 7662, 8414, 8707, 8725, 9068, 9207, 9700]
  t.deepEqual(
    table.map(({ number }) => number),
    numbers,
  )
  for (const { number, rows } of table) t.true(rows.length > 0, `${number}`)
})

test('every test that a row names is there', t => {
  const missing = everyRow.filter(row => row.test !== undefined && findTest(row.test) === 'missing')
  t.deepEqual(
    missing.map(({ number, section, test: reference }) => `RFC ${number} §${section}: ${reference}`),
    [],
  )
})

test('every row says a section, a level and a requirement, and either a test or why there is none', t => {
  for (const row of everyRow) {
    const name = `RFC ${row.number} §${row.section}: ${row.requirement}`
    t.regex(row.section, /^(?:\d+(?:\.\d+)*|[A-Z](?:\.\d+)*)$/, name)
    t.true(levels.includes(row.level), name)
    t.regex(row.requirement, /^\S.*[^\s.]$/, name)
    t.true((row.test === undefined) !== (row.why === undefined), name)
    t.false(row.why === '' || row.why?.endsWith('.') === true, name)
    t.false(row.onPurpose !== undefined && row.why === undefined, name)
  }
})

test('no row is there twice, and the sections are in their order', t => {
  const names = everyRow.map(row => `RFC ${row.number} §${row.section} ${row.level}: ${row.requirement}`)
  t.deepEqual(
    names.filter((name, i) => names.indexOf(name) !== i),
    [],
  )
  for (const { number, rows } of table) {
    const sections = rows.map(({ section }) => section)
    t.deepEqual(sections, [...sections].sort(compareSections), `RFC ${number}`)
  }
})

test('README.md is what `node test/conformance/render.ts` makes of the table', t => {
  t.true(readRendered() === renderTable(), 'run: node test/conformance/render.ts')
})

test('a title is found as it is written, and a misspelt, skipped or commented one is not', t => {
  const { isShown, isFailing } = titlesOf(
    [
      "test('one', t => {})",
      '  test("it\'s two", t => {})',
      "test.skip('three', t => {})",
      "// test('four', t => {})",
      "test.failing('five', t => {})",
      'test.serial(',
      "  'six', t => {})",
    ].join('\n'),
  )
  t.deepEqual(['one', "it's two", 'six'].filter(isShown), ['one', "it's two", 'six'])
  t.deepEqual(['on', 'one ', 'One', 'three', 'four', 'five', ''].filter(isShown), [])
  t.deepEqual(['one', 'five', 'three'].filter(isFailing), ['five'])
})

test('a title of a loop is found with what the loop puts in or with *, and with nothing else', t => {
  const hole = (code: string) => `\${${code}}`
  const call = `test(\`${hole('a')} is ${hole('JSON.stringify(b)')} (§1)\`, t => {})`
  const source = `for (const [a, b] of [['x y', 'z']]) {\n  ${call}\n}`
  const { isShown } = titlesOf(source)
  const titles = ['x y is "z" (§1)', '* is * (§1)', 'x y is * (§1)']
  t.deepEqual(titles.filter(isShown), titles)
  t.deepEqual(['x is "z" (§1)', 'x y is "z" (§2)', 'x y is  (§1)', ' is * (§1)', '* is *'].filter(isShown), [])
})

/** Numbers by value, appendices after them. */
function compareSections(a: string, b: string): number {
  const [left, right] = [a, b].map(section => section.split('.').map(part => (/\d/.test(part) ? Number(part) : 1000)))
  for (let i = 0; i < Math.max(left!.length, right!.length); i++) {
    const difference = (left![i] ?? -1) - (right![i] ?? -1)
    if (difference !== 0) return difference
  }
  return 0
}
