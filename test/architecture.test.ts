/** Which room may know which, by reading import lines: CONTRIBUTING.md has the house. */

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'

const root = fileURLToPath(new URL('../', import.meta.url))

type Import = { from: string; to: string; typeOnly: boolean }

const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts'))
  .map(name => `src/${name.replaceAll('\\', '/')}`)
const sources = new Map(files.map(file => [file, readFileSync(join(root, file), 'utf8')]))

/** Paths below the root, or names of packages. */
const imports: Import[] = [...sources].flatMap(([from, source]) => {
  const statements = source.matchAll(
    /^\s*(?:import|export)\s+(type\s)?[^'"]*?from\s+'([^']+)'|(?:^import\s+|\bimport\(\s*)'([^']+)'/gm,
  )
  return [...statements].map(([, type, named = '', bare]) => {
    const specifier = bare ?? named
    const to = specifier.startsWith('.') ? relative(root, join(root, dirname(from), specifier)) : specifier
    return { from, to: to.replaceAll('\\', '/'), typeOnly: type !== undefined }
  })
})

/** The folder below src/, or the file itself for those at its top. */
const partOf = (file: string) => file.split('/').slice(0, 2).join('/')

/**
 * The rooms of the house from the top down, and what of Node and npm each may use. A room imports those below it and nothing above. The
 * files at the top of src/ that put the program together may import everything; those at the bottom know nothing of it.
 */
const rooms: readonly (readonly [room: string, packages: RegExp])[] = [
  ['cli', /^(?:node:|commander$|better-sqlite3$)/],
  ['http', /^(?:node:|koa$|@koa\/router$|koa-bodyparser$|pino$|uqr$|zod$)/],
  ['metrics', /^@prometheus-io\/client$/],
  ['admin', /^node:crypto$/],
  ['oauth', /^(?:node:crypto|zod$)/],
  ['storage', /^(?:node:|drizzle-orm(?:\/.*)?$|better-sqlite3$|pg$)/],
  ['accounts', /^node:(?:crypto|timers\/promises)$/],
  ['webhooks', /^node:crypto$/],
  ['sessions', /^node:crypto$/],
  ['mail', /^(?:node:(?:crypto|timers\/promises)|nodemailer)$/],
  // A client's keys are fetched from where it publishes them.
  ['clients', /^(?:node:crypto|jose)$/],
  // A thread of its own for the password functions that nothing native computes; files that people bring.
  [
    'users',
    /^(?:node:(?:crypto|net|url|util|os|worker_threads)|argon2|bcrypt|zod|csv-parse\/sync|@zxcvbn-ts\/.*|@simplewebauthn\/server(?:\/helpers)?)$/,
  ],
  ['throttle', /^(?:node:(?:crypto|net)|ipaddr\.js)$/],
  ['keys', /^(?:node:(?:crypto|util)|jose)$/],
  ['audit', /^$/],
  ['breached', /^node:(?:crypto|fs|path|zlib)$/],
  ['pages', /^$/],
]
const bottom = [
  'error.ts',
  'lease.ts',
  'guarded_requests.ts',
  'observer.ts',
  'text.ts',
  'normal_form.ts',
  'printable.ts',
  'system.ts',
  'sink.ts',
  'small_file.ts',
  'log.ts',
  'log_lines.ts',
]

/** Files whose code, comments aside, fits a pattern. */
function filesWith(pattern: RegExp): string[] {
  const code = (source: string) => source.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
  return [...sources].filter(([, source]) => pattern.test(code(source))).map(([file]) => file)
}

function findCycle(edges: readonly Import[], name: (file: string) => string): string[] | undefined {
  const next = Map.groupBy(edges, ({ from }) => name(from))
  const done = new Set<string>()
  const visit = (node: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node]
    if (done.has(node)) return undefined
    for (const { to } of next.get(node) ?? []) {
      if (!to.startsWith('src/') || name(to) === node) continue
      const cycle = visit(name(to), [...path, node])
      if (cycle !== undefined) return cycle
    }
    done.add(node)
    return undefined
  }
  for (const node of next.keys()) {
    const cycle = visit(node, [])
    if (cycle !== undefined) return cycle
  }
  return undefined
}

test('the reading finds the imports that are known to be there', t => {
  t.true(files.length > 20)
  const has = (from: string, to: string) => imports.some(one => one.from === from && one.to === to)
  t.true(has('src/app.ts', 'koa'))
  t.true(has('src/http/oauth_routes.ts', 'src/oauth/token.ts'))
  t.true(has('src/keys/signing_key.ts', 'jose'))
  t.true(has('src/storage/sqlite/users.ts', 'src/storage/sqlite/schema.ts'))
  t.true(has('src/cli.ts', 'src/main.ts'))
  t.deepEqual(
    imports.filter(({ to }) => to.startsWith('src/') && !sources.has(to)),
    [],
  )
})

for (const [at, [room, packages]] of rooms.entries()) {
  const below = [room, ...rooms.slice(at + 1).map(([name]) => name), ...bottom].map(name => `src/${name}`)
  // A command opens what it works on as the server does.
  const more =
    room === 'cli'
      ? ['src/config.ts', 'src/setting_values.ts', 'src/secret_file.ts', 'src/breached_passwords.ts', 'src/brand.ts']
      : []
  test(`${room}/ knows the rooms below it and nothing above`, t => {
    const strays = imports.filter(
      ({ from, to }) =>
        partOf(from) === `src/${room}` &&
        !(to.startsWith('src/') ? [...below, ...more].includes(partOf(to)) : packages.test(to)),
    )
    t.deepEqual(
      strays.map(({ from, to }) => `${from} imports ${to}`),
      [],
    )
  })
}

test('every folder of src/ is a room with a rule', t => {
  const folders = new Set(files.filter(file => file.split('/').length > 2).map(file => file.split('/')[1]!))
  t.deepEqual([...folders].toSorted(), rooms.map(([room]) => room).toSorted())
})

test('the tests have a folder for each room, and a few for what is of no single room', t => {
  const others = ['browser', 'conformance', 'fuzz', 'interop', 'slow']
  const entries = readdirSync(join(root, 'test'), { withFileTypes: true })
  const folders = entries.filter(entry => entry.isDirectory()).map(({ name }) => name)
  t.deepEqual(folders.toSorted(), [...rooms.map(([room]) => room), ...others].toSorted())
})

test('what is at the bottom knows only what is there', t => {
  const strays = imports.filter(
    ({ from, to }) =>
      bottom.includes(from.slice('src/'.length)) && to.startsWith('src/') && !bottom.includes(to.slice('src/'.length)),
  )
  t.deepEqual(strays, [])
})

test('only storage/ knows SQL, and only http/ and app.ts know Koa', t => {
  const users = (pattern: RegExp) =>
    new Set(imports.filter(({ to }) => pattern.test(to)).map(({ from }) => partOf(from)))
  t.deepEqual([...users(/^(?:drizzle-orm|better-sqlite3|pg)(?:\/|$)/)], ['src/storage'])
  t.deepEqual([...users(/^(?:koa|@koa\/.*|koa-bodyparser)$/)].toSorted(), ['src/app.ts', 'src/http'])
})

test('admin/ knows no terminal: it takes records and answers documents', t => {
  const speaking = filesWith(/\b(?:process|console)\./)
  t.deepEqual(
    speaking.filter(file => file.startsWith('src/admin/')),
    [],
  )
  t.true(speaking.includes('src/cli/run.ts'))
})

test('no folder or top file imports in a circle', t => {
  t.is(findCycle(imports, partOf), undefined)
})

test('no file imports in a circle, not for a type either', t => {
  t.is(
    findCycle(imports, file => file),
    undefined,
  )
})

test('a circle would be found', t => {
  const edge = (from: string, to: string) => ({ from, to, typeOnly: false })
  const edges = [edge('src/a.ts', 'src/b.ts'), edge('src/b.ts', 'src/c.ts'), edge('src/c.ts', 'src/b.ts')]
  t.deepEqual(
    findCycle(edges, file => file),
    ['src/b.ts', 'src/c.ts', 'src/b.ts'],
  )
})

test('one place begins a session, whatever the way in was, and one place ends sessions', t => {
  t.deepEqual(filesWith(/\bstorage\.createSession\(/), ['src/sessions/begin.ts'])
  t.deepEqual(filesWith(/\bstorage\.revokeSessions\(/), ['src/sessions/end.ts'])
  // Each of them is a way in: `test/http/ways_in.test.ts` has it.
  const ways = ['src/http/browser/sign_in.ts', 'src/oauth/challenge.ts', 'src/oauth/grants/password.ts']
  t.deepEqual(filesWith(/(?<!function )\bbeginSession\(/).toSorted(), ways)
  const worded = filesWith(/auditEvent\(\s*'session\./)
  // A code is exchanged for a session whose row the door has made; a step-up neither begins nor ends one.
  const [begin, end, exchange, raise] = ['begin', 'end', 'code_exchange', 'raise'].map(
    name => `src/sessions/${name}.ts`,
  )
  t.deepEqual(worded.toSorted(), [begin, exchange, end, raise])
  t.deepEqual(filesWith(/auditEvent\(\s*'session\.raised'/), [raise])
})

test('only the settings read the environment; the command line looks whether to show stack traces', t => {
  t.deepEqual(filesWith(/\bprocess\.env\b/).toSorted(), ['src/cli.ts', 'src/config.ts'])
})

test('only system.ts reads the clock', t => {
  t.deepEqual(filesWith(/\bDate\.now\b|\bnew Date\(\)|\bDate\(\)/), ['src/system.ts'])
})

test('oauth/ takes its randomness as an argument', t => {
  const own = filesWith(
    /\bMath\.random\b|\brandomUUID\b|\bgetRandomValues\b|import[^;\n]*\brandomBytes\b[^;\n]*node:crypto/,
  )
  t.deepEqual(
    own.filter(file => file.startsWith('src/oauth/') || file.startsWith('src/http/')),
    [],
  )
})

test("all randomness is node:crypto's, through system.ts", t => {
  t.deepEqual(filesWith(/import[^;\n]*\brandom(?:Bytes|Fill|FillSync|Int|UUID)\b[^;\n]*node:crypto/), ['src/system.ts'])
  t.deepEqual(filesWith(/\bMath\.random\b|\bgetRandomValues\b|\bcrypto\.random/), [])
})

test('what the server is made of loads no fetch, which costs 12 MiB (src/http/commonjs.ts)', t => {
  const loaded = (module: string) => {
    const script = `await import(${JSON.stringify(new URL(module, import.meta.url).href)})
      console.log(process.moduleLoadList.some(name => name.includes('undici')))`
    return execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).trim()
  }
  t.is(loaded('../src/main.ts'), 'false')
  t.is(loaded('./_server.ts'), 'true', 'the tests use it')
  // Koa asks an object whether it is a Response.
  t.deepEqual(filesWith(/\bctx\.body = [{[]/), [])
})

test('no file of src/ has more than 400 lines', t => {
  const long = [...sources].filter(([, source]) => source.split('\n').length > 401)
  t.deepEqual(
    long.map(([file]) => file),
    [],
  )
})

test('a refresh can be followed from route to row in nine files, downward, each of fewer than 250 lines', t => {
  const section = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')
    .split('\n## Follow a refresh\n')[1]!
    .split('\n## ')[0]!
  const steps = [...section.matchAll(/^\d+\. `(src\/[^`]+)`: `(\w+)`/gm)].map(([, file = '', name = '']) => ({
    file,
    name,
  }))
  t.true(steps.length > 4 && steps.length <= 9, `${steps.length}`)
  for (const [at, { file, name }] of steps.entries()) {
    const source = sources.get(file)
    if (source === undefined) {
      t.fail(`${file} is not there`)
      continue
    }
    t.true(source.split('\n').length < 250, `${file} has 250 lines or more`)
    t.true(new RegExp(`\\b${name}\\b`).test(source), `${file} has no ${name}`)
    const before = steps.slice(0, at).map(step => step.file)
    // The grants are in a table; a storage is handed over, so it is its verb that is called.
    const isGrant = file.startsWith('src/oauth/grants/') && before.includes('src/oauth/token.ts')
    const isCalled = before.some(above => new RegExp(`\\b${name}\\(`).test(sources.get(above) ?? ''))
    t.true(at === 0 || isGrant || isCalled, `nothing before ${file} calls ${name}`)
    t.deepEqual(
      imports.filter(({ from, to }) => from === file && before.includes(to)).map(({ to }) => to),
      [],
      `${file} imports upward`,
    )
  }
})

/** Numbers that are nothing but statuses, and whatever is compared with one or set to one; names of headers alone between quotes. */
const httpWords =
  /realm=|\b(?:40[0-9]|41[0-8]|42[1-9]|431|451|50[1-5]|511)\b|\bstatus(?:Code)?\b['"]?\s*(?::|[!=]?={1,2}|[<>]=?)\s*[1-5]\d\d\b|['"`](?:www-authenticate|authorization|retry-after|cache-control|set-cookie|location|link|etag|vary|pragma|content-[a-z-]+|access-control-[a-z-]+|x-[a-z-]+|sec-[a-z-]+)['"`]/i

test('below http/ there is no status, no name of a header and no challenge: an error has a code (RFC 9110)', t => {
  const room = (file: string) => file.split('/')[1]!
  const below = [...rooms.slice(rooms.findIndex(([name]) => name === 'http') + 1).map(([name]) => name), ...bottom]
  const found = filesWith(httpWords).filter(file => below.includes(room(file)))
  // Pages tell people the status; a client's keys are fetched, and webhooks called, by HTTP; a mail has headers that look like its.
  t.deepEqual(found.toSorted(), [
    'src/clients/remote_jwks.ts',
    'src/mail/smtp.ts',
    'src/pages/error.ts',
    'src/pages/texts_en.ts',
    'src/pages/texts_ko.ts',
    'src/webhooks/send.ts',
  ])
})

test('a status, a header and a challenge would be found', t => {
  for (const code of [
    "throw new OAuthError('x', 'y', { challenge: 'Basic realm=\"z\"' })",
    'const answers = { invalid_token: 401 }',
    'ctx.status = 200',
    'if (response.statusCode !== 200) return',
    "{ status: 303, error: 'x' }",
    "ctx.set('Retry-After', '1')",
    'headers["www-authenticate"]',
  ])
    t.regex(code, httpWords)
  for (const code of ['const maxSessions = 200', "kind: 'location is unknown'", "status: 'ok'", '[0-9a-f]{32,128}'])
    t.notRegex(code, httpWords)
})
