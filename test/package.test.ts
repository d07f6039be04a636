/** What is published as the npm package, and what its documents leave behind where they are followed. */
import { readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import test from 'ava'
import { documents, linksOf } from './_documents.ts'
import { launcher, run } from './_process.ts'

const environment = Object.fromEntries(
  Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
)

/** Paths of all files that `npm pack` would put into the package, but for those that it builds first. */
async function packedFiles(): Promise<string[]> {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], environment)
  const answer = JSON.parse(stdout)
  // npm 11 answers a list, npm 12 an object by the name of the package.
  const [{ files }] = Object.values(answer) as [{ files: { path: string }[] }]
  return files.map(({ path }) => path)
}

test('every link of a document in the package leads into the package, but for those to tests', async t => {
  const packed = new Set(await packedFiles())
  const isPacked = (path: string) =>
    packed.has(path) || [...packed].some(file => file.startsWith(path.replace(/\/?$/, '/')))
  t.true(packed.has('README.md') && packed.has('docs/deploy.md') && packed.has('examples/systemd/latchkey.service'))
  const dead = documents
    .filter(({ path }) => packed.has(path))
    .flatMap(document => linksOf(document).map(({ path }) => ({ from: document.path, path })))
    .filter(({ path }) => !isPacked(path) && !path.startsWith('test/'))
  t.deepEqual(dead, [])
})

test('the package has no source, no test and nothing that was left lying about', async t => {
  const packed = await packedFiles()
  t.deepEqual(
    packed.filter(path => /^(?:src|scripts|test|data|\.)|\.db|token\.json/.test(path)),
    ['test/conformance/README.md'],
  )
})

test('bin/latchkey.js is read by Nodes of before modules: no static import, no await, no operator of this decade', t => {
  const code = readFileSync(launcher, 'utf8').replaceAll(/^\/\/.*\n|^#!.*\n/gm, '')
  t.notRegex(code, /^import\b(?!\()|^export\b|\bawait\b|\?\?|\?\.|\*\*|\bnode:|import\.meta/m)
})

/** The first program `node` of this machine that is not one of npm's packages. */
async function findOldNode() {
  for (const folder of (process.env.PATH ?? '').split(delimiter).filter(name => !name.includes('node_modules'))) {
    const node = join(folder, 'node')
    const { stdout } = await run(node, ['--version'], environment).catch(() => ({ stdout: '' }))
    const version = stdout.trim().replace(/^v/, '')
    if (version !== '') return Number.parseInt(version, 10) < 24 ? { node, version } : undefined
  }
  return undefined
}

test('an older Node is told in one line that it is too old', async t => {
  const old = await findOldNode()
  if (old === undefined) return t.pass('there is no older Node on this machine')
  t.deepEqual(await run(old.node, [launcher, 'serve'], environment), {
    code: 1,
    stdout: '',
    stderr: `latchkey needs Node 24 or newer; this is Node ${old.version}\n`,
  })
})

test('what the commands of the documents write is ignored by git', async t => {
  const written = documents.flatMap(({ blocks }) =>
    blocks
      .filter(({ language }) => language === 'sh')
      .flatMap(({ text }) => [...text.matchAll(/ > ?([\w./-]+)/g)].map(([, file]) => file!)),
  )
  const imported = documents.flatMap(({ text }) =>
    [...text.matchAll(/user import ([\w-]+\.\w+)|--firebase-hash-config ([\w-]+\.\w+)/g)].map(
      ([, users, config]) => (users ?? config)!,
    ),
  )
  const files = new Set([...written, ...imported].filter(file => !file.startsWith('/')))
  t.true(files.has('token.json') && files.has('users.jsonl'))
  for (const file of files) t.is((await run('git', ['check-ignore', '-q', file], environment)).code, 0, file)
})
