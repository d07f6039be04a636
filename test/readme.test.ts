/** The README keeps its word: its commands run, its examples work, its tables are complete. */
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { settings } from '../src/config.ts'
import { createFolder, deployment, postForm, root, run, startProcess } from './_process.ts'

const readme = readFileSync(join(root, 'README.md'), 'utf8')

/** The fenced blocks in their order. */
const blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
  language,
  text,
}))

/** A checkout with what the commands need, where they may write. */
function copyCheckout(folder: string): string {
  for (const name of ['package.json', '.npmrc', 'bin', 'src', 'migrations'])
    cpSync(join(root, name), join(folder, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

test('every command of the README runs, in their order, and answers what is shown', async t => {
  const folder = copyCheckout(createFolder(t))
  const environment = deployment(folder)
  // npx takes longer than the commands it runs. It is held to finding `latchkey` once; after that this stands for it.
  const shortcuts = createFolder(t)
  writeFileSync(join(shortcuts, 'npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" bin/latchkey.js "$@"\n`, {
    mode: 0o755,
  })
  const quick = { ...environment, PATH: `${shortcuts}:${environment.PATH}` }
  let usesNpx = false
  const [start, verify, ...others] = blocks.filter(({ language }) => language === 'sh')
  t.is(start?.text, 'npm ci && npm start\n')
  t.is(verify?.text, 'npm ci && npm test\n')
  // `npm ci` and `npm test` are what brought us here.
  t.regex(readFileSync(join(root, '.ci/run'), 'utf8'), /^npm ci && npm test /m)
  const server = await startProcess(t, environment, ['npm', 'start', '--prefix', folder])

  for (const { text } of others) {
    const command = text.replaceAll('http://localhost:3000', server.url)
    const { code, stdout, stderr } = await run('bash', ['-e', '-c', command], usesNpx ? quick : environment, '', folder)
    usesNpx ||= command.includes('npx latchkey ')
    t.deepEqual([code, stderr], [0, ''], command)
    const block = blocks.findIndex(other => other.text === text)
    const shown = blocks[block + 1]
    if (shown?.language === 'json')
      t.deepEqual(Object.keys(JSON.parse(stdout)), Object.keys(JSON.parse(shown.text)), command)
  }
  t.true(usesNpx)
})

test('the JavaScript example verifies an access token and refuses a changed one', async t => {
  const folder = createFolder(t)
  const { accessToken, issuer } = await signIn(folder, t)
  const example = blocks.find(({ language }) => language === 'js')!.text.replaceAll('http://localhost:3000', issuer)
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(
    join(folder, 'example.mjs'),
    `${example}\nconsole.log(JSON.stringify(await authenticate(process.argv[2])))\n`,
  )

  const good = await run(process.execPath, [join(folder, 'example.mjs'), accessToken], {})
  const bad = await run(process.execPath, [join(folder, 'example.mjs'), changed(accessToken)], {})

  t.like(JSON.parse(good.stdout), { client: 'app', scope: ['read', 'write'] })
  t.not(bad.code, 0)
  t.regex(bad.stderr, /signature verification failed/)
})

const python = '/usr/bin/python3'
const hasPython = spawnSync(python, ['-c', 'import jwt, cryptography']).status === 0
const testPython = hasPython ? test : test.skip

testPython('the Python example verifies an access token and refuses a changed one', async t => {
  const folder = createFolder(t)
  const { accessToken, issuer } = await signIn(folder, t)
  const example = blocks.find(({ language }) => language === 'python')!.text.replaceAll('http://localhost:3000', issuer)
  const script = `${example}\nimport json, sys\nprint(json.dumps(authenticate(sys.argv[1])))\n`

  const good = await run(python, ['-c', script, accessToken], {})
  const bad = await run(python, ['-c', script, changed(accessToken)], {})

  t.like(JSON.parse(good.stdout), { client: 'app', scope: ['read', 'write'] })
  t.not(bad.code, 0)
  t.regex(bad.stderr, /Signature verification failed/)
})

test('the table of settings has every setting with its default, and no other', t => {
  const rows = [...readme.matchAll(/^\| `(LATCHKEY_\w+)` \| (.*?) \|/gm)].map(([, name, fallback]) => [name, fallback])
  t.deepEqual(rows.map(([name]) => name).sort(), Object.keys(settings).sort())
  for (const [name, fallback] of rows) {
    const { default: expected } = settings[name as keyof typeof settings]
    if (expected !== '') t.is(fallback, `\`${expected}\``, name)
  }
})

test('the links of the README lead to files and headings that exist', t => {
  const headings = [...readme.matchAll(/^#+ (.*)$/gm)].map(([, text = '']) =>
    text
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )
  for (const [, target = ''] of readme.matchAll(/\]\(([^)]+)\)/g)) {
    if (target.startsWith('https://')) continue
    if (target.startsWith('#')) t.true(headings.includes(target.slice(1)), target)
    else t.notThrows(() => readFileSync(join(root, target)), target)
  }
})

async function signIn(folder: string, t: Parameters<typeof startProcess>[0]) {
  const server = await startProcess(t, deployment(folder))
  const password = /this password:\n\n {2}(\S+)/.exec(readFileSync(join(folder, 'data/first-sign-in'), 'utf8'))![1]!
  const { body } = await postForm(`${server.url}/token`, {
    grant_type: 'password',
    client_id: 'app',
    username: 'admin',
    password,
  })
  return { accessToken: String(body.access_token), issuer: `http://localhost:${new URL(server.url).port}` }
}

/** The same token for another subject. */
function changed(accessToken: string): string {
  const [header, claims, signature] = accessToken.split('.')
  const altered = JSON.stringify({
    ...JSON.parse(Buffer.from(claims!, 'base64url').toString()),
    sub: 'usr_somebody-else',
  })
  return [header, Buffer.from(altered).toString('base64url'), signature].join('.')
}
