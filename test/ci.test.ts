/** `.ci/run` says what became of every run of the tests, in its last line and by its exit code. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createFolder, root, run } from './_process.ts'

type Run = Readonly<{ passed: number; failed: number; code?: number }>

/** Runs it where `npm` answers as AVA would: `npm test` with a run for each database. */
async function runCi(t: ExecutionContext, fast: readonly Run[], slow: Run, install = 0) {
  const folder = createFolder(t)
  cpSync(join(root, '.ci'), join(folder, '.ci'), { recursive: true })
  mkdirSync(join(folder, 'bin'))
  const codeOf = ({ failed, code = failed > 0 ? 1 : 0 }: Run) => code
  const print = ({ passed, failed }: Run) => {
    const lines = [...Array(passed).fill('  ✔ a test (1s)'), ...Array(failed).fill('  ✘ [fail]: a test'), '  ─']
    const closing = failed > 0 ? `  ${failed} ${failed > 1 ? 'tests' : 'test'} failed` : `  ${passed} tests passed`
    return `printf '%s\\n' ${[...lines, closing].map(line => `'${line}'`).join(' ')}`
  }
  const npm = `#!/bin/sh
case "$*" in
  ci) exit ${install} ;;
  test) ${fast.map(print).join('; ')}; exit ${Math.max(...fast.map(codeOf))} ;;
  'run test:slow') ${print(slow)}; exit ${codeOf(slow)} ;;
esac
`
  writeFileSync(join(folder, 'bin/npm'), npm, { mode: 0o755 })
  for (const installer of ['bin/apt-get', '.ci/install_postgresql', '.ci/install_deployment'])
    writeFileSync(join(folder, installer), '#!/bin/sh\n', { mode: 0o755 })
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
  writeFileSync(join(folder, 'node_modules/.bin/node'), '#!/bin/sh\n', { mode: 0o755 })
  const environment = { PATH: `${join(folder, 'bin')}:${process.env.PATH}` }
  const { code, stdout } = await run('bash', [join(folder, '.ci/run')], environment)
  return [code, stdout.trimEnd().split('\n').at(-1)]
}

const passing = { passed: 3, failed: 0 }

for (const [what, fast, slow, code, last] of [
  ['all pass', [passing, passing], { passed: 2, failed: 0 }, 0, '8 passed, 0 failed'],
  ['the first database fails', [{ passed: 3, failed: 1 }], { passed: 2, failed: 0 }, 1, '5 passed, 1 failed'],
  ['the second fails', [passing, { passed: 3, failed: 2 }], { passed: 2, failed: 0 }, 1, '8 passed, 2 failed'],
  ['the slow one fails', [passing, passing], { passed: 2, failed: 2 }, 1, '8 passed, 2 failed'],
  [
    'all fail',
    [
      { passed: 3, failed: 2 },
      { passed: 1, failed: 1 },
    ],
    { passed: 2, failed: 3 },
    1,
    '6 passed, 6 failed',
  ],
  ['the slow one breaks without a word', [passing], { passed: 0, failed: 0, code: 2 }, 1, '3 passed, 1 failed'],
] as const) {
  test(`.ci/run when ${what} ends with ${code} and "${last}"`, async t => {
    t.deepEqual(await runCi(t, fast, slow), [code, last])
  })
}

test('.ci/run where nothing can be installed is no success', async t => {
  const [code, last] = await runCi(t, [passing], { passed: 0, failed: 0, code: 1 }, 1)
  t.not(code, 0)
  t.is(last, '0 passed, 1 failed')
})
