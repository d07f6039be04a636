/** The documents keep their word: their commands run, their examples work, their tables are complete, their links lead somewhere. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { getTableColumns, getTableName, is } from 'drizzle-orm'
import { SQLiteTable } from 'drizzle-orm/sqlite-core'
import { settings } from '../src/config.ts'
import * as schema from '../src/storage/sqlite/schema.ts'
import { anchorsOf, type Block, documentAt, documents, inlineCodeOf, linksOf } from './_documents.ts'
import { givenFiles } from './_given_files.ts'
import {
  createFolder,
  deployment,
  type Environment,
  freePort,
  postForm,
  root,
  run,
  runCommand,
  startProcess,
} from './_process.ts'
import { startSmtp } from './_smtp.ts'

/** A checkout with what the commands need, where they may write. */
function copyCheckout(folder: string): string {
  for (const name of ['package.json', '.npmrc', 'bin', 'src', 'migrations', 'examples'])
    cpSync(join(root, name), join(folder, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

/** npx takes longer than the commands it runs: this stands for it, once a command of the README has shown that it finds `latchkey`. */
function withoutNpx(t: ExecutionContext, environment: Environment): Environment {
  const shortcuts = createFolder(t)
  const script = `#!/bin/sh
[ "$1" = latchkey ] || exec "$@"
shift
exec "${process.execPath}" bin/latchkey.js "$@"
`
  writeFileSync(join(shortcuts, 'npx'), script, { mode: 0o755 })
  return { ...environment, PATH: `${shortcuts}:${environment.PATH}` }
}

const shells = ['sh', 'bash', 'shell', 'console']
const elsewhere = 'in a terminal of its own'

for (const { path, text, blocks } of documents) {
  test(`every block of commands in ${path} is run or says why not`, t => {
    for (const { language, mark } of blocks) {
      t.not(language, '', 'a block of code names its language')
      if (shells.includes(language)) t.regex(mark, new RegExp(`^(?:|${elsewhere}|not run: .{10,})$`))
    }
    t.notRegex(
      text,
      /^ {4,}(?:\$ |npm |npx |node |curl |printf |latchkey |python |psql |bin\/)/m,
      'commands are fenced',
    )
  })
}

const withCommands = documents.filter(({ blocks }) =>
  blocks.some(({ language, mark }) => shells.includes(language) && !mark.startsWith('not run: ')),
)

/** Whose commands send mails. */
const withMail = ['docs/sign-up.md']

for (const { path, blocks } of withCommands) {
  test(`every command of ${path} runs, in their order, and answers what is shown`, async t => {
    const folder = copyCheckout(createFolder(t))
    const smtp = withMail.includes(path) ? await startSmtp(t) : undefined
    const environment = deployment(folder, {
      ...(path === 'docs/admin-api.md' && { LATCHKEY_ADMIN_PORT: '0' }),
      ...(smtp && { LATCHKEY_SMTP_URL: smtp.url, LATCHKEY_MAIL_FROM: 'accounts@example.com' }),
    })
    const quick = withoutNpx(t, environment)
    let commands = blocks.filter(({ language, mark }) => shells.includes(language) && !mark.startsWith('not run: '))
    let usesNpx = path !== 'README.md'
    if (path === 'README.md') {
      const [start, verify, ...others] = commands
      t.is(start?.text, 'npm ci && npm start\n')
      t.is(verify?.text, 'npm ci && npm test\n')
      // `npm ci` and `npm test` are what brought us here.
      t.regex(readFileSync(join(root, '.ci/run'), 'utf8'), /^if ! npm ci; then$/m)
      t.regex(readFileSync(join(root, '.ci/tests.ts'), 'utf8'), /execute\('npm', \['test'\]\)/)
      commands = others
    }
    const server = await startProcess(t, environment, usesNpx ? undefined : ['npm', 'start', '--prefix', folder])
    const port = await freePort()
    const { adminUrl } = server.log.find(({ msg }) => msg === 'listening')!

    for (const block of commands) {
      const command = block.text
        .replaceAll('http://localhost:3000', server.url)
        .replaceAll('http://localhost:3001', String(adminUrl))
        .replaceAll('http://127.0.0.1:4000', `http://127.0.0.1:${port}`)
        // What whoever reads the mail types.
        .replaceAll('12345678', block.text.includes('12345678') ? ((await smtp?.mail(1))?.code ?? '') : '')
      for (const [name, content] of Object.entries(givenFiles[`${path}, ${block.section}`] ?? {}))
        writeFileSync(join(folder, name), content)
      if (block.mark === elsewhere) {
        await runBeside(t, command, { ...quick, ISSUER: server.url, PORT: `${port}` }, folder, port)
        continue
      }
      const { code, stdout, stderr } = await run(
        'bash',
        ['-e', '-c', command],
        usesNpx ? quick : environment,
        '',
        folder,
      )
      usesNpx ||= command.includes('npx latchkey ')
      t.is(code, 0, `${command}\n${stderr}`)
      const shown = shownAfter(blocks, block)
      if (shown !== undefined) t.deepEqual(Object.keys(JSON.parse(stdout)), Object.keys(JSON.parse(shown)), command)
    }
    t.true(usesNpx)
  })
}

function shownAfter(blocks: readonly Block[], block: Block): string | undefined {
  const next = blocks[blocks.indexOf(block) + 1]
  return next?.language === 'json' ? next.text : undefined
}

/** Starts a command that serves, and waits until it does. */
async function runBeside(t: ExecutionContext, command: string, environment: Environment, cwd: string, port: number) {
  const child = spawn('bash', ['-c', `exec ${command}`], { env: environment, cwd, stdio: 'ignore' })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const isUp = () =>
    fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    )
  while (!(await isUp())) {
    if (child.exitCode !== null) return t.fail(`${command} ended with ${child.exitCode}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** The one block of a language in the page about resource servers. */
function codeOf(language: string): string {
  return documentAt('docs/resource-servers.md').blocks.find(block => block.language === language)!.text
}

test('the JavaScript example verifies an access token and refuses a changed one', async t => {
  const folder = createFolder(t)
  const { accessToken, issuer } = await signIn(folder, t)
  const example = codeOf('js').replaceAll('http://localhost:3000', issuer)
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
  const example = codeOf('python').replaceAll('http://localhost:3000', issuer)
  const script = `${example}\nimport json, sys\nprint(json.dumps(authenticate(sys.argv[1])))\n`

  const good = await run(python, ['-c', script, accessToken], {})
  const bad = await run(python, ['-c', script, changed(accessToken)], {})

  t.like(JSON.parse(good.stdout), { client: 'app', scope: ['read', 'write'] })
  t.not(bad.code, 0)
  t.regex(bad.stderr, /Signature verification failed/)
})

test('the table of settings has every setting with its default, and no other', t => {
  const { text } = documentAt('docs/settings.md')
  const rows = [...text.matchAll(/^\| `(LATCHKEY_\w+)` \| (.*?) \|/gm)].map(([, name, fallback]) => [name, fallback])
  t.deepEqual(rows.map(([name]) => name).sort(), Object.keys(settings).sort())
  for (const [name, fallback] of rows) {
    const { default: expected } = settings[name as keyof typeof settings]
    if (expected !== '') t.is(fallback, `\`${expected}\``, name)
  }
})

test('every setting that a document names is one', t => {
  const mentions = documents
    .filter(({ path }) => path !== 'CHANGELOG.md')
    .flatMap(({ path, text }) => [...text.matchAll(/\bLATCHKEY_\w+/g)].map(([name]) => ({ path, name })))
  const isKnown = (name: string) =>
    name in settings || (name.endsWith('_') && Object.keys(settings).some(setting => setting.startsWith(name)))
  t.true(mentions.length > 50)
  t.deepEqual(
    mentions.filter(({ name }) => !isKnown(name)),
    [],
  )
})

test('docs/storage.md has every table with every column, and no other', t => {
  const { text } = documentAt('docs/storage.md')
  const parts = text.split(/^### /m).slice(1)
  const written = parts.map(part => {
    const cells = [...part.matchAll(/^\| (`[^|]*) \|/gm)].map(([, cell]) => cell!)
    return [/^\w+/.exec(part)![0], cells.flatMap(cell => cell.replaceAll('`', '').split(', ')).toSorted()] as const
  })
  const tables = Object.values<unknown>(schema).filter(value => is(value, SQLiteTable))
  const stored = tables.map(
    table =>
      [
        getTableName(table),
        Object.values(getTableColumns(table))
          .map(({ name }) => name)
          .toSorted(),
      ] as const,
  )
  t.deepEqual(Object.fromEntries(written), Object.fromEntries(stored))
})

test('no link in a document is dead', t => {
  const dead = documents.flatMap(document =>
    linksOf(document)
      .filter(({ path, anchor }) => {
        if (!existsSync(join(root, path))) return true
        if (anchor === undefined) return false
        return statSync(join(root, path)).isDirectory() || !anchorsOf(documentAt(path)).has(anchor)
      })
      .map(({ written }) => `${document.path}: ${written}`),
  )
  t.deepEqual(dead, [])
})

test('every file and folder that a document names is there', t => {
  const names = documents
    .filter(({ path }) => path !== 'CHANGELOG.md')
    .flatMap(document => inlineCodeOf(document).map(name => ({ path: document.path, name })))
    .filter(({ name }) => /^(?:src|test|docs|examples|bench|bin|scripts|migrations)\/[\w./-]*$/.test(name))
  t.true(names.length > 20)
  t.deepEqual(
    names.filter(({ name }) => !existsSync(join(root, name))),
    [],
  )
})

test('every document can be reached from the README', t => {
  const reached = new Set(['README.md'])
  for (const path of reached)
    for (const link of linksOf(documentAt(path))) if (link.path.endsWith('.md')) reached.add(link.path)
  t.deepEqual([...reached].toSorted(), documents.map(({ path }) => path).toSorted())
})

test('commands within a line are npm scripts and commands of latchkey that there are, with their options', async t => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const known = await readCommands(t)
  const code = documents.flatMap(document => inlineCodeOf(document).map(text => ({ path: document.path, text })))
  let checked = 0
  for (const { path, text } of code) {
    for (const [, script] of text.matchAll(/\bnpm run ([\w:-]+)/g)) {
      t.true(script! in scripts, `${path}: ${text}`)
      checked++
    }
    const [, command, options = ''] = /^(?:npx )?latchkey ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)(.*)$/.exec(text) ?? []
    if (command === undefined) continue
    const [noun, verb] = command.split(' ')
    const help = known.get(command) ?? known.get(noun!)
    if (help === undefined || (verb !== undefined && !known.has(command) && known.has(`${noun} *`))) {
      t.fail(`${path}: ${text}`)
      continue
    }
    for (const [option] of options.matchAll(/--[a-z-]+/g)) t.true(help.includes(option), `${path}: ${text}`)
    checked++
  }
  t.true(checked > 20)
})

/** The help of every command by its name, such as `user add`; `user *` says that `user` has commands of its own. */
async function readCommands(t: ExecutionContext): Promise<Map<string, string>> {
  const environment = deployment(createFolder(t))
  const known = new Map<string, string>()
  const read = async (names: readonly string[]) => {
    const { stdout } = await runCommand([...names, '--help'], environment)
    known.set(names.join(' '), stdout)
    const [, list = ''] = stdout.split(/^Commands:\n/m)
    const below = [...list.matchAll(/^ {2}([a-z][a-z-]*)(?: |$)/gm)].map(([, name]) => name!)
    if (names.length > 0 && below.length > 0) known.set(`${names.join(' ')} *`, '')
    for (const name of below) if (name !== 'help') await read([...names, name])
  }
  await read([])
  return known
}

async function signIn(folder: string, t: ExecutionContext) {
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
