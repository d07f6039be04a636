/** `.ci/run` says what became of every run of the tests: in its last lines, and by its exit code. */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { readAvaOutput } from '../.ci/ava_output.ts'
import { createFolder, root, run } from './_process.ts'

type Outcome = Readonly<{
  passed: number
  /** Titles. */
  failed?: readonly string[]
  /** A line about something that is no test. */
  trouble?: string
  code?: number
}>

type Outcomes = Readonly<{
  install?: number
  check?: number
  sqlite?: Outcome
  postgres?: Outcome
  slow?: Outcome
  /** Of each file that is run alone, on one of the databases. */
  alone?: Readonly<Record<string, Outcome>>
}>

const passing = { passed: 3 }

function codeOf({ failed = [], trouble, code = failed.length > 0 || trouble !== undefined ? 1 : 0 }: Outcome): number {
  return code
}

/** As AVA does. */
function print({ passed, failed = [], trouble }: Outcome): string {
  const lines = [
    ...Array(passed).fill('  ✔ a test (1s)'),
    ...failed.map(title => `  ✘ [fail]: ${title} is wrong`),
    ...(trouble === undefined ? [] : [trouble]),
    '  ─',
    '',
    ...failed.flatMap(title => [`  ${title}`, '', `  Error of ${title}`, '', '', '']),
    ...(failed.length > 0 ? ['  ─', ''] : []),
    failed.length > 0
      ? `  ${failed.length} ${failed.length > 1 ? 'tests' : 'test'} failed`
      : `  ${passed} tests passed`,
  ]
  return `printf '%s\\n' ${lines.map(line => `'${line}'`).join(' ')}\n`
}

/**
 * Runs the tests where `npm` and `ava` answer as given.
 *
 * @returns the counts, the lines from the end on, and how the files were run that were run alone
 */
async function runTests(t: ExecutionContext, outcomes: Outcomes) {
  const folder = createCheckout(t, outcomes)
  const { stdout } = await run(
    process.execPath,
    [join(folder, '.ci/tests.ts'), join(folder, 'counts')],
    environmentOf(folder),
  )
  const read = (name: string) => readFileSync(join(folder, name), 'utf8').trimEnd()
  const alone = existsSync(join(folder, 'alone')) ? read('alone').split('\n') : []
  return { counts: read('counts'), lines: stdout.trimEnd().split('\n').reverse(), stdout, alone }
}

/** @returns the folder of what `.ci/run` needs */
function createCheckout(t: ExecutionContext, outcomes: Outcomes): string {
  const { install = 0, check = 0, sqlite = passing, postgres = passing, slow = passing, alone = {} } = outcomes
  const folder = createFolder(t)
  cpSync(join(root, '.ci'), join(folder, '.ci'), { recursive: true })
  for (const name of ['bin', 'node_modules/.bin', 'test/a']) mkdirSync(join(folder, name), { recursive: true })
  for (const name of ['test/a/x.test.ts', 'test/y.test.ts']) writeFileSync(join(folder, name), '')
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const script = (name: string, text: string) =>
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}`, { mode: 0o755 })
  const runs = { 'test:sqlite': sqlite, 'test:postgres': postgres, 'test:slow': slow }
  const cases = Object.entries(runs).map(
    ([name, outcome]) =>
      `'run ${name}') echo; echo '> latchkey@1.2.3 ${name}'; ${print(outcome)} exit ${codeOf(outcome)} ;;`,
  )
  script(
    'bin/npm',
    `case "$*" in
  ci) exit ${install} ;;
  test) echo '> latchkey@1.2.3 check'; (exit ${check}) && npm run test:sqlite && npm run test:postgres ;;
  ${cases.join('\n  ')}
esac
`,
  )
  const files = Object.entries(alone).map(
    ([args, outcome]) => `'${args}') ${print(outcome)} exit ${codeOf(outcome)} ;;`,
  )
  script(
    'node_modules/.bin/ava',
    `echo "$*" >>${folder}/alone\ncase "$*" in\n${files.join('\n')}\n*) exit 3 ;;\nesac\n`,
  )
  symlinkSync(process.execPath, join(folder, 'node_modules/.bin/node'))
  for (const installer of ['bin/apt-get', '.ci/install_postgresql', '.ci/install_deployment']) script(installer, '')
  return folder
}

function environmentOf(folder: string) {
  return { PATH: `${join(folder, 'bin')}:${process.env.PATH}` }
}

/** A test of the file that is there. */
const x = (title: string) => `a › x › ${title}`
const onSqlite = '-c 1 test/a/x.test.ts'
const onPostgres = '--config ava.postgres.config.js -c 1 test/a/x.test.ts'
const still = (title: string): Outcome => ({ passed: 0, failed: [title] })

for (const [what, outcomes, code, last] of [
  ['all pass', {}, 0, '9 passed, 0 failed'],
  ['one fails', { slow: { passed: 0, code: 2 } }, 1, '6 passed, 1 failed'],
  ['nothing can be installed', { install: 1 }, 1, '0 passed, 1 failed'],
] as const) {
  test(`.ci/run where ${what} ends with ${code} and "${last}"`, async t => {
    const folder = createCheckout(t, outcomes)
    const ended = await run('bash', [join(folder, '.ci/run')], environmentOf(folder))
    t.deepEqual([ended.code, ended.stdout.trimEnd().split('\n').at(-1)], [code, last])
  })
}

for (const [what, outcomes, counts] of [
  [
    'the first database fails, after which the second one runs all the same',
    { sqlite: { passed: 3, failed: [x('b')] }, alone: { [onSqlite]: still('b') } },
    '9 1',
  ],
  [
    'the second fails',
    { postgres: { passed: 3, failed: [x('b'), x('c')] }, alone: { [onPostgres]: { passed: 0, failed: ['b', 'c'] } } },
    '9 2',
  ],
  [
    'the slow one fails',
    { slow: { passed: 2, failed: ['y › b'] }, alone: { '-c 1 test/y.test.ts': still('b') } },
    '8 1',
  ],
  ['the check fails, after which the tests run all the same', { check: 2 }, '9 1'],
] as const) {
  test(`the run where ${what} is "${counts}"`, async t => {
    const ended = await runTests(t, outcomes)
    t.is(ended.counts, counts, ended.stdout)
  })
}

test('the names of what failed and their errors stand at the end, so that the tail of a log is enough', async t => {
  const outcomes = {
    sqlite: { passed: 3, failed: [x('b')] },
    slow: { passed: 300, failed: ['y › c'] },
    alone: { [onSqlite]: still('b'), '-c 1 test/y.test.ts': still('c') },
  }
  const { lines } = await runTests(t, outcomes)
  const end = lines.slice(0, lines.indexOf('failed:'))
  for (const line of ['  test:sqlite: a › x › b', '  test:slow: y › c', '  Error of b', '  Error of c'])
    t.true(end.includes(line), line)
  t.true(end.length < 30)
})

test('hundreds of failures end with no more lines than a tail has', async t => {
  const failed = Array.from({ length: 400 }, (_, i) => x(`test ${i}`))
  const { lines } = await runTests(t, { sqlite: { passed: 3, failed } })
  t.true(lines.indexOf('failed:') < 350)
  t.true(lines.includes('  Error of a › x › test 0'))
})

test('what failed beside others and passes alone is said openly, and no failure', async t => {
  const outcomes = {
    sqlite: { passed: 3, failed: [x('b')] },
    postgres: { passed: 3, failed: [x('b'), x('c')] },
    alone: { [onSqlite]: { passed: 4 }, [onPostgres]: { passed: 5 } },
  }
  const { counts, lines, alone } = await runTests(t, outcomes)
  t.deepEqual(alone, [onSqlite, onPostgres])
  t.is(counts, '12 0')
  const said = lines.slice(0, lines.indexOf('passed when run alone:')).reverse()
  t.deepEqual(said, ['  test:sqlite: a › x › b', '  test:postgres: a › x › b', '  test:postgres: a › x › c'])
  t.false(lines.includes('failed:'))
})

test('what fails alone counts, also where another test of its file passes then', async t => {
  const outcomes = {
    sqlite: { passed: 3, failed: [x('b'), x('c')] },
    alone: { [onSqlite]: { passed: 4, failed: ['c'] } },
  }
  const { counts, lines } = await runTests(t, outcomes)
  t.is(counts, '10 1')
  t.is(lines[0], '  test:sqlite: a › x › b')
  t.true(lines.includes('  test:sqlite: a › x › c'))
})

const six = Array.from({ length: 6 }, (_, i) => x(`test ${i}`))

for (const [what, outcomes, counts] of [
  ['more than a few failures', { sqlite: { passed: 3, failed: six } }, '9 6'],
  [
    'more than a few failures in all runs together',
    { sqlite: { passed: 3, failed: six.slice(3) }, slow: { passed: 3, failed: six.slice(3) } },
    '9 6',
  ],
  [
    'a failure beside an exception that nobody caught',
    { sqlite: { passed: 3, failed: [x('b')], trouble: '  Uncaught exception in test/a/x.test.ts' } },
    '9 1',
  ],
  ['a run that timed out', { slow: { passed: 3, trouble: '✘ Timed out while running tests' } }, '9 1'],
  ['a failed check', { check: 1, slow: { passed: 3, failed: [x('b')] } }, '9 2'],
] as const) {
  test(`nothing is tried again after ${what}`, async t => {
    const ended = await runTests(t, outcomes)
    t.deepEqual([ended.counts, ended.alone], [counts, []], ended.stdout)
  })
}

for (const [what, alone] of [
  ['does not end well', { passed: 3, code: 1 }],
  ['is ended by an exception that nobody caught', { passed: 3, trouble: '  Uncaught exception in test/a/x.test.ts' }],
] as const) {
  test(`where the file alone ${what}, it has failed as it did at first`, async t => {
    const { counts, lines } = await runTests(t, {
      sqlite: { passed: 3, failed: [x('b')] },
      alone: { [onSqlite]: alone },
    })
    t.is(counts, '9 1')
    t.true(lines.includes('  Error of a › x › b'))
  })
}

const tests = {
  'test/a/x.test.ts': `import test from 'ava'
    test('one › two', t => { t.is(1, 2) })
    test('throws', () => { throw new Error('first line\\n\\none › two') })
    test('passes', t => { t.log('✘ [fail]: not a test'); t.pass() })
    test('has a message', t => { t.deepEqual({ a: 1 }, { a: 2 }, 'that it says') })
    test.after.always(() => { throw new Error('at the end') })`,
  'test/y.test.ts': `import test from 'ava'
    test('passes', t => { t.pass() })`,
  'test/z.test.ts': `import test from 'ava'
    test('nobody catches', t => { setImmediate(() => { throw new Error('thrown aside') }); return new Promise(() => {}) })`,
}

test('the output of AVA itself is read as it is meant', async t => {
  const folder = createFolder(t)
  mkdirSync(join(folder, 'test/a'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  for (const [name, text] of Object.entries({ ...tests, 'package.json': '{ "type": "module" }' }))
    writeFileSync(join(folder, name), text)
  writeFileSync(join(folder, 'ava.config.js'), `export default { extensions: ['ts'] }`)
  const binaries = join(root, 'node_modules/.bin')
  const ava = async (...files: string[]) => {
    const environment = { PATH: `${binaries}:${process.env.PATH}`, HOME: folder }
    const { stdout } = await run(join(binaries, 'ava'), files, environment, '', folder)
    return readAvaOutput(stdout)
  }

  const several = await ava('test/a/x.test.ts', 'test/y.test.ts')
  const titles = ['one › two', 'throws', 'has a message', 'after.always hook']
  t.deepEqual(
    several.failures.map(({ title }) => title),
    titles.map(title => `a › x › ${title}`),
  )
  t.deepEqual([several.passed, several.isWhole, several.troubles], [2, true, []])
  const text = several.failures.map(({ lines }) => lines.join('\n'))
  for (const [i, error] of ['- 1\n', 'first line', 'that it says', 'at the end'].entries())
    t.true(text[i]!.includes(error))
  t.false(text[0]!.includes('thrown in test'))

  t.deepEqual(
    (await ava('test/a/x.test.ts')).failures.map(({ title }) => title),
    titles,
  )
  t.deepEqual(await ava('test/y.test.ts'), { passed: 1, failures: [], troubles: [], isWhole: true })

  const uncaught = await ava('test/y.test.ts', 'test/z.test.ts')
  t.deepEqual([uncaught.passed, uncaught.isWhole], [1, false])
  t.true(uncaught.troubles.some(line => line.includes('thrown aside')))
})
