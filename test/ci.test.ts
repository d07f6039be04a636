/** `.ci/run` says what became of both runs of the tests, in its last line and by its exit code. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createFolder, root, run } from './_process.ts'

type Run = Readonly<{ passed: number; failed: number; code?: number }>

/** Runs it where `npm` answers as AVA would. */
async function runCi(t: ExecutionContext, fast: Run, slow: Run, install = 0) {
  const folder = createFolder(t)
  cpSync(join(root, '.ci'), join(folder, '.ci'), { recursive: true })
  mkdirSync(join(folder, 'bin'))
  const print = ({ passed, failed, code = failed > 0 ? 1 : 0 }: Run) => {
    const lines = [...Array(passed).fill('  ✔ a test (1s)'), ...Array(failed).fill('  ✘ [fail]: a test'), '  ─']
    const closing = failed > 0 ? `  ${failed} ${failed > 1 ? 'tests' : 'test'} failed` : `  ${passed} tests passed`
    return `printf '%s\\n' ${[...lines, closing].map(line => `'${line}'`).join(' ')}; exit ${code}`
  }
  const npm = `#!/bin/sh
case "$*" in
  ci) exit ${install} ;;
  test) ${print(fast)} ;;
  'run test:slow') ${print(slow)} ;;
esac
`
  writeFileSync(join(folder, 'bin/npm'), npm, { mode: 0o755 })
  writeFileSync(join(folder, 'bin/apt-get'), '#!/bin/sh\n', { mode: 0o755 })
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
  writeFileSync(join(folder, 'node_modules/.bin/node'), '#!/bin/sh\n', { mode: 0o755 })
  const environment = { PATH: `${join(folder, 'bin')}:${process.env.PATH}` }
  const { code, stdout } = await run('bash', [join(folder, '.ci/run')], environment)
  return [code, stdout.trimEnd().split('\n').at(-1)]
}

for (const [what, fast, slow, code, last] of [
  ['both pass', { passed: 3, failed: 0 }, { passed: 2, failed: 0 }, 0, '5 passed, 0 failed'],
  ['the first fails', { passed: 3, failed: 1 }, { passed: 2, failed: 0 }, 1, '5 passed, 1 failed'],
  ['the slow one fails', { passed: 3, failed: 0 }, { passed: 2, failed: 2 }, 1, '5 passed, 2 failed'],
  ['both fail', { passed: 3, failed: 2 }, { passed: 2, failed: 3 }, 1, '5 passed, 5 failed'],
  [
    'the slow one breaks without a word',
    { passed: 3, failed: 0 },
    { passed: 0, failed: 0, code: 2 },
    1,
    '3 passed, 1 failed',
  ],
] as const) {
  test(`.ci/run when ${what} ends with ${code} and "${last}"`, async t => {
    t.deepEqual(await runCi(t, fast, slow), [code, last])
  })
}

test('.ci/run where nothing can be installed is no success', async t => {
  const [code, last] = await runCi(t, { passed: 3, failed: 0 }, { passed: 0, failed: 0, code: 1 }, 1)
  t.not(code, 0)
  t.is(last, '0 passed, 1 failed')
})
