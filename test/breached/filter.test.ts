/** The filter of breached passwords: what is in it, what is not, and lists and files that are broken. */
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { buildFilter } from '../../src/breached/build.ts'
import {
  FilterError,
  filterHas,
  hashOf,
  numberOf,
  readBlock,
  readHeader,
  withFilter,
} from '../../src/breached/filter.ts'
import { ListError } from '../../src/breached/lists.ts'
import { createFolder } from '../_process.ts'

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex').toUpperCase()
const now = 1_800_000_000
const quiet = () => {}

const has = (path: string, text: string) =>
  withFilter(path, filter => filterHas(filter, numberOf(hashOf(text), filter.scale)))

function build(out: string, list: string | readonly string[], minCount = 1) {
  return buildFilter(typeof list === 'string' ? [list] : list, out, { minCount, now }, quiet)
}

/** @returns the paths of a list with these lines, and of a filter that is not there yet */
function createList(t: ExecutionContext, text: string): { folder: string; list: string; out: string } {
  const folder = createFolder(t)
  writeFileSync(join(folder, 'list.txt'), text)
  return { folder, list: join(folder, 'list.txt'), out: join(folder, 'breached.filter') }
}

/** A filter of 3,000 passwords, `breached 0` and so on. */
function createFilter(t: ExecutionContext) {
  const lines = Array.from({ length: 3000 }, (_, at) => `${sha1(`breached ${at}`)}:${(at % 20) + 1}\r\n`)
  const given = createList(t, lines.join(''))
  return { ...given, built: build(given.out, given.list) }
}

test('whatever is in the list is found, in whatever order and however often it is there', t => {
  const folder = createFolder(t)
  const [list, out] = [join(folder, 'list'), join(folder, 'out')]
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 600 }), texts => {
      writeFileSync(list, texts.map(text => `${sha1(text)}:1\n`).join(''))
      t.is(build(out, list).count, new Set(texts).size)
      t.deepEqual(
        texts.filter(text => !has(out, text)),
        [],
      )
    }),
    { numRuns: 30 },
  )
})

test('of 300,000 passwords that are not in the list at most one in 1,024 is taken for one, within chance', t => {
  const { out } = createFilter(t)
  const wrong = withFilter(out, filter => {
    let found = 0
    for (let at = 0; at < 300_000; at++) if (filterHas(filter, numberOf(hashOf(`another ${at}`), filter.scale))) found++
    return found
  })
  // 293 are to be expected; five deviations are 86.
  t.true(wrong > 293 - 86 && wrong < 293 + 86, `${wrong}`)
})

test('the numbers of hashes rise with them and stay below their bound, at whatever scale', t => {
  fc.assert(
    fc.property(fc.nat(2 ** 52 - 1), fc.nat(2 ** 52 - 1), fc.integer({ min: 1, max: 2.5e9 }), (one, other, scale) => {
      const [low, high] = [Math.min(one, other), Math.max(one, other)]
      t.true(numberOf(low, scale) <= numberOf(high, scale))
    }),
  )
  for (const scale of [1, 3, 256, 257, 999_999_937, 2.5e9]) t.true(numberOf(2 ** 52 - 1, scale) < scale * 1024)
})

test('a filter says how many hashes it has, from when and how often they had appeared, in less than 1.5 bytes each and its header', t => {
  const { out, list, built } = createFilter(t)
  t.like(readHeader(out), { count: 3000, scale: 3000, builtAt: now, minCount: 1, blocks: 12 })
  t.true(built.fileSize < 1.5 * 3000 + 64 + 4, `${built.fileSize}`)
  t.is(built.fileSize, readFileSync(out).length)
  t.is(build(out, list, 20).count, 150)
  t.true(has(out, 'breached 19'))
  t.true(has(out, 'breached 2999'))
  t.like(readHeader(out), { count: 150, minCount: 20 })
  t.true(Array.from({ length: 100 }, (_, at) => has(out, `breached ${at}`)).filter(Boolean).length < 10)
})

test('a folder of ranges is a list too: names with and without .txt, padding that has appeared 0 times, other files left alone', t => {
  const folder = createFolder(t)
  const ranges = join(folder, 'ranges')
  mkdirSync(ranges)
  const digest = sha1('in a range')
  const padding = sha1('only padding')
  writeFileSync(join(ranges, `${digest.slice(0, 5)}.txt`), `${digest.slice(5)}:7\r\n${'0'.repeat(35)}:1`)
  writeFileSync(join(ranges, padding.slice(0, 5).toLowerCase()), `${padding.slice(5).toLowerCase()}:0\n`)
  writeFileSync(join(ranges, 'README'), 'no range')
  const out = join(folder, 'out')
  const built = build(out, ranges)
  t.like(built, { count: 2, missingRanges: 1_048_576 - 2 })
  t.true(has(out, 'in a range'))
  t.false(has(out, 'only padding'))
})

test('several lists make one filter, and what is in two of them counts once', t => {
  const { folder, list, out } = createFilter(t)
  const more = join(folder, 'more.txt')
  writeFileSync(more, `${sha1('breached 1')}:1\n${sha1('of the other list')}:1\n`)
  t.like(build(out, [list, more]), { count: 3001, scale: 3002, missingRanges: 0 })
  t.true(has(out, 'of the other list'))
  t.true(has(out, 'breached 1'))
})

for (const [what, text, problem] of [
  ['an NTLM hash', `${sha1('a')}:1\n${'8846F7EAEE8FB117AD06BDD830B7586C'}:3\n`, /line 2, has an NTLM hash/],
  ['a password in the clear', 'correct horse battery staple\n', /line 1, is not SHA1HEX:COUNT/],
  ['a hash without a number', `${sha1('a')}:1\n${sha1('b')}\n`, /line 2, is not SHA1HEX:COUNT/],
  ['a line that was cut short', `${sha1('a')}:1\n${sha1('b').slice(0, 30)}`, /line 2, /],
  ['a letter that is no digit', `G${sha1('a').slice(1)}:1\n`, /line 1, /],
  ['a number that is none', `${sha1('a')}:-1\n`, /line 1, /],
  ['a line without an end', 'A'.repeat(3_000_000), /line 1, /],
  ['what is compressed', '\u001f\u008b\u0008\0\0\0\0', /unpacked/],
  ['nothing', '', /no hash in .* has appeared 1 times/],
] as const) {
  test(`a list with ${what} is refused with its line and none of its words, and leaves nothing`, t => {
    const { folder, list, out } = createList(t, text)
    const error = t.throws(() => build(out, list), { instanceOf: ListError, message: problem })!
    t.notRegex(error.message, /horse|8846F7EA/)
    t.deepEqual(readdirSync(folder), ['list.txt'])
    writeFileSync(list, `${sha1('a')}:1\n`)
    t.is(build(out, list).count, 1)
    t.deepEqual(readdirSync(folder), ['breached.filter', 'list.txt'])
  })
}

test('what broke leaves the filter that is there as it was, and a file that is no filter is never replaced by one', t => {
  const { folder, list, out } = createFilter(t)
  const before = readFileSync(out)
  writeFileSync(join(folder, 'broken.txt'), 'broken\n')
  t.throws(() => build(out, [list, join(folder, 'broken.txt')]), { message: /broken.txt, line 1/ })
  t.deepEqual(readFileSync(out), before)
  t.throws(() => build(join(folder, 'broken.txt'), list), { message: /exists and is no filter/ })
  t.is(readFileSync(join(folder, 'broken.txt'), 'utf8'), 'broken\n')
  for (const missing of ['nowhere.txt', '/dev/null']) t.throws(() => build(out, missing), { instanceOf: ListError })
  t.deepEqual(readdirSync(folder).toSorted(), ['breached.filter', 'broken.txt', 'list.txt'])
})

test('a file that is cut short, longer, damaged, of a newer version or something else is no filter, and says so', t => {
  const { folder, out, list } = createFilter(t)
  const good = readFileSync(out)
  const path = join(folder, 'other')
  const problemOf = (bytes: Buffer) => {
    writeFileSync(path, bytes)
    try {
      withFilter(path, filter => {
        for (let block = 0; block < filter.blocks; block++) readBlock(filter, block)
      })
    } catch (error) {
      t.true(error instanceof FilterError)
      return (error as Error).message
    }
    return undefined
  }
  const changed = (at: number, value: number) => {
    const bytes = Buffer.from(good)
    bytes[at] = value
    return bytes
  }
  t.is(problemOf(good), undefined)
  t.regex(problemOf(good.subarray(0, -1))!, /^is cut short: it has \d+ of \d+ bytes$/)
  t.is(problemOf(good.subarray(0, 40)), 'is cut short')
  t.regex(problemOf(Buffer.concat([good, Buffer.from('x')]))!, /^is too long/)
  t.is(problemOf(changed(19, 2)), 'is of a newer latchkey: build it again with this one')
  t.is(problemOf(changed(0, 0)), 'is none that latchkey breached build has written')
  t.is(problemOf(Buffer.from('')), 'is none that latchkey breached build has written')
  t.is(problemOf(readFileSync(list)), 'is none that latchkey breached build has written')
  // One changed byte anywhere, of the header, a block or the offsets.
  fc.assert(
    fc.property(fc.integer({ min: 20, max: good.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      t.not(problemOf(changed(at, good[at]! ^ mask)), undefined, `${at}`)
    }),
  )
  for (const [wrong, problem] of [
    [folder, 'is no file'],
    [join(folder, 'nowhere'), 'does not exist'],
  ] as const)
    t.throws(() => readHeader(wrong), { instanceOf: FilterError, message: problem })
})

test('two blocks that have changed places are noticed, also where each is whole', t => {
  const { folder, out } = createFilter(t)
  const path = join(folder, 'swapped')
  copyFileSync(out, path)
  const bytes = readFileSync(out)
  const { blocksSize } = readHeader(out)
  const at = 64 + blocksSize
  const [first, second, third] = [0, 1, 2].map(block => bytes.readUInt32BE(at + 4 * block)) as [number, number, number]
  const swapped = Buffer.concat([bytes.subarray(64 + second, 64 + third), bytes.subarray(64 + first, 64 + second)])
  swapped.copy(bytes, 64)
  bytes.writeUInt32BE(third - second, at + 4)
  writeFileSync(path, bytes)
  t.throws(() => withFilter(path, filter => readBlock(filter, 0)), { message: 'is damaged' })
  t.throws(() => withFilter(path, filter => readBlock(filter, 1)), { message: 'is damaged' })
  t.notThrows(() => withFilter(path, filter => readBlock(filter, 2)))
  truncateSync(path, 64)
  t.throws(() => readHeader(path), { message: /cut short/ })
})
