/** Text of others comes out where nobody can be deceived by it: no raw control, bidi, separator or invisible character (CWE-150, CWE-117). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import test from 'ava'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { readConfig } from '../../src/config.ts'
import { formatHtml } from '../../src/pages/html.ts'
import { person } from '../../src/pages/layout.ts'
import { formatJson, printable, printableBrief, printableJson, printableLines } from '../../src/printable.ts'
import {
  createFolder,
  deployment,
  launcher,
  migratedDeployment,
  postForm,
  root,
  run,
  runCli,
  startProcess,
} from '../_process.ts'

/** What acts on a terminal, on the order of letters or on lines, or takes no room. */
const acting = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/u
const hostile = 'x\u001b]0;owned\u0007\u009b2J\r\n\u202egnp\u2028\u2066\u200b\u3164\u00ad\u007fy'
const isClean = (output: string) => !acting.test(output.replaceAll('\n', ''))

const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom(...hostile, '\ud800', '"', '\\', 'é', '한', '😀', '\u{e0041}') }),
)

test('property: what is printed has no character that acts, and everything else as it was', t => {
  fc.assert(
    fc.property(texts, text => {
      const shown = printable(text)
      t.notRegex(shown, acting)
      t.is(
        shown.replace(/\\u\{([0-9a-f]+)\}/g, (_, code) => String.fromCodePoint(Number.parseInt(code, 16))),
        text.replace(/\\u\{([0-9a-f]+)\}/g, (_, code) => String.fromCodePoint(Number.parseInt(code, 16))),
      )
      t.true(isClean(printableLines(text)))
      t.is(printableLines(text).split('\n').length, text.split('\n').length)
      t.true(
        printableBrief(text.repeat(40)).length <= 100 * '\\u{10ffff}'.length &&
          !acting.test(printableBrief(text.repeat(40))),
      )
    }),
    { numRuns: 2000 },
  )
  t.is(printable('a\u009b2J\nb'), 'a\\u{9b}2J\\u{a}b')
  t.is(printable('Zoë 한국 😀'), 'Zoë 한국 😀')
})

test('property: JSON is printed as JSON of the same value, without a character that acts', t => {
  fc.assert(
    fc.property(texts, fc.jsonValue(), (text, value) => {
      const json = formatJson({ [text]: text, value })
      t.notRegex(json, acting)
      t.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify({ [text]: text, value })))
    }),
    { numRuns: 1000 },
  )
  t.is(printableJson('{"a":"\u009b"}\n'), '{"a":"\\u009b"}\n')
})

test('property: on a page a name is all visible and keeps its place, whatever is in it', t => {
  fc.assert(
    fc.property(texts, text => {
      const shown = /^<bdi translate="no">(.*)<\/bdi>$/s.exec(formatHtml(person(text)))![1]!
      t.notRegex(shown.replace(/[\u200c-\u200f\u061c]|[\ufe00-\ufe0f]/g, ''), acting)
    }),
  )
  t.is(formatHtml(person('admin\u3164')), '<bdi translate="no">admin\ufffd</bdi>')
  t.is(formatHtml(person('علی\u200cرضا 👩\u200d💻')), '<bdi translate="no">علی\u200cرضا 👩\u200d💻</bdi>')
})

test('no command prints what acts, whatever is in the database, in files and in arguments', async t => {
  const folder = createFolder(t)
  const environment = migratedDeployment(folder, { LATCHKEY_BOOTSTRAP: 'off' })
  const cli = (...args: string[]) => runCli(args, environment)
  await runCli(['user', 'add', 'alice', '--password-stdin'], environment, 'a good password')
  await cli('client', 'add', 'app', '--public', '--grant', 'password')
  const at = Math.floor(Date.now() / 1000)
  const database = new Database(join(folder, 'data/latchkey.db'))
  database.prepare('UPDATE users SET username = ?, email = ?, full_name = ?').run(hostile, hostile, hostile)
  database
    .prepare('UPDATE clients SET scope = ?, audience = ?, cors_origins = ?, jwks_uri = ?')
    .run(...Array(4).fill(hostile))
  const { id } = database.prepare('SELECT id FROM users').get() as { id: string }
  const columns = database.prepare('SELECT name FROM pragma_table_info(?)').pluck().all('sessions') as string[]
  const session = Object.fromEntries(
    columns.map(name => [
      name,
      /_at$|time|generation|lifetime/.test(name) ? at + (name.includes('expires') ? 9999 : 0) : null,
    ]),
  )
  Object.assign(session, {
    ...{ id: 'session', user_id: id, client_id: 'app', scope: hostile, audience: hostile, amr: 'pwd' },
    ...{ revoked_at: null, device: hostile, ip: hostile, user_agent: hostile },
  })
  database
    .prepare(`INSERT INTO sessions (${columns}) VALUES (${columns.map(() => '?')})`)
    .run(columns.map(name => session[name]))
  database
    .prepare(
      "INSERT INTO audit_events (at, type, user_id, ip, request_id, detail) VALUES (?, 'session.created', ?, ?, ?, ?)",
    )
    .run(at, hostile, hostile, hostile, hostile)
  database.prepare("INSERT INTO signing_keys VALUES (?, ?, '{}', 'x', ?, ?)").run(hostile, hostile, at, at)
  database.close()
  const hash = '$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW'
  const file = join(folder, 'users\u001b[2J\u202e.json')
  const bad = join(folder, 'bad\u009b.json')
  const hidden = join(folder, 'hidden.json')
  writeFileSync(file, JSON.stringify([{ username: 'bob', hashed_password: hash, [hostile]: 1 }]))
  writeFileSync(bad, JSON.stringify({ [hostile]: { username: hostile, hashed_password: hostile, email: hostile } }))
  writeFileSync(hidden, JSON.stringify([{ username: 'x', hashed_password: hash, [`is_${hostile}`]: false }]))
  // Without NUL, which no argument can have.
  const commands: string[][] = [
    ...[
      ['user', 'list'],
      ['user', 'show', hostile],
      ['user', 'export'],
      ['user', 'remove', hostile],
      ['user', 'add', hostile, '--password-stdin'],
    ],
    ...[
      ['user', 'import', file, '--dry-run'],
      ['user', 'import', bad],
      ['user', 'import', bad, '--dry-run'],
      ['user', 'import', hidden, '--dry-run'],
    ],
    ...[['user', 'import', `${folder}/${hostile}`], ['user', hostile], ['user', 'list', `--${hostile}`], [hostile]],
    ...[
      ['client', 'list'],
      ['client', 'show', 'app'],
      ['client', 'show', hostile],
      ['client', 'add', hostile, '--grant', 'password'],
    ],
    ...[
      ['client', 'add', 'c', '--grant', hostile],
      ['client', 'add', 'c', '--grant', 'password', '--jwks', hostile],
    ],
    ...[
      ['client', 'update', 'app', '--cors-origin', hostile],
      ['client', 'update', 'app', '--audience', hostile],
    ],
    ...[
      ['session', 'list'],
      ['session', 'list', '--user', hostile],
      ['session', 'revoke', hostile],
      ['key', 'list'],
      ['key', 'rotate'],
    ],
    ...[
      ['audit'],
      ['audit', '--limit', hostile],
      ['audit', '--since', hostile],
      ['backup', `${folder}/${hostile}`],
      ['doctor'],
      ['secret', 'status'],
    ],
  ]
  let printed = ''
  for (const command of commands) {
    for (const args of command.includes('export') ? [command] : [command, [...command, '--json']]) {
      const { stdout, stderr } = await cli(...args)
      printed += stdout
      for (const output of [stdout, stderr])
        t.true(isClean(output), `${JSON.stringify(args)}: ${JSON.stringify(output)}`)
    }
  }
  for (const [name, value] of [
    [`LATCHKEY_${hostile}`, 'x'],
    ['LATCHKEY_PORT', hostile],
    ['LATCHKEY_DATABASE_URL', `file:${hostile}/x.db`],
    ['LATCHKEY_SECRET_FILE', hostile],
  ] as const) {
    const { stderr, code } = await runCli(['doctor'], { ...environment, [name]: value })
    t.true(isClean(stderr), JSON.stringify(stderr))
    t.not(code, 0)
  }
  // It was there to be printed, and is told in a way that says what it is.
  t.true(
    printed.includes(
      'x\\u{1b}]0;owned\\u{7}\\u{9b}2J\\u{d}\\u{a}\\u{202e}gnp\\u{2028}\\u{2066}\\u{200b}\\u{3164}\\u{ad}\\u{7f}y',
    ),
  )
  t.true(
    printed.includes('x\\u001b]0;owned\\u0007\\u009b2J\\r\\n\\u202egnp\\u2028\\u2066\\u200b\\u3164\\u00ad\\u007fy'),
  )
})

test('no log line has what acts in it, whatever is sent and whatever files are called', async t => {
  const folder = createFolder(t)
  const steering = '\u009b2J\u202egnp\u2028\u007f'
  const data = `file:${join(folder, steering)}/latchkey.db`
  const { url, child, log, stop } = await startProcess(
    t,
    deployment(folder, { LATCHKEY_LOG_LEVEL: 'debug', LATCHKEY_DATABASE_URL: data }),
  )
  const chunks: Buffer[] = []
  child.stdout!.on('data', chunk => chunks.push(chunk))
  const params = { grant_type: hostile, client_id: hostile, username: hostile, password: hostile, device: hostile }
  await postForm(`${url}/token`, params)
  // Headers are read byte for byte, so these are U+0080 to U+009F.
  const origin = `https://${Buffer.from([0x9b, 0x85]).toString('latin1')}`
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  const head = `POST /token HTTP/1.1\r\nHost: x\r\nUser-Agent: ${origin}\r\nOrigin: ${origin}\r\nConnection: close\r\n\r\n`
  socket.end(head, 'latin1')
  await readText(socket)
  await stop()
  const written = Buffer.concat(chunks).toString()
  t.true(written.includes('request refused'))
  t.true(isClean(written), JSON.stringify(written))
  const files = log.map(({ file }) => String(file))
  t.true(
    files.some(file => file.includes(steering)),
    'where the first password is',
  )
  // The user of the first start has a name like any other: nobody can be added who looks like it.
  const environment = deployment(folder, { LATCHKEY_DATABASE_URL: data })
  const add = (name: string) => runCli(['user', 'add', name, '--password-stdin'], environment, 'a good password')
  for (const name of ['Admin', 'ⓐdmin', 'ａdmin', 'admin\u3164']) t.not((await add(name)).code, 0, name)
  t.is((await add('admin2')).code, 0)
})

/** Runs `latchkey` with bytes as its arguments and stdin; only a shell can hand on what is not UTF-8. */
async function runBytes(script: string, environment: Record<string, string>, stdin: Buffer | string = '') {
  const child = spawn('/bin/sh', ['-c', script], {
    env: { ...environment, NODE: process.execPath, LAUNCHER: launcher },
    cwd: root,
    stdio: 'pipe',
  })
  child.stdin.on('error', () => {}).end(stdin)
  const [stdout, stderr, [code]] = await Promise.all([
    readText(child.stdout),
    readText(child.stderr),
    once(child, 'exit'),
  ])
  return { code, stdout, stderr }
}

test('bytes that are not UTF-8 on the command line, on stdin and in settings are refused, and nothing is stored', async t => {
  const folder = createFolder(t)
  const environment = migratedDeployment(folder, { LATCHKEY_BOOTSTRAP: 'off' })
  const latchkey = '"$NODE" "$LAUNCHER"'
  const byte = `"$(printf 'ali\\377ce')"`
  const refusals = [
    await runBytes(`${latchkey} user add ${byte} --password-stdin`, environment, 'a good password'),
    await runBytes(`${latchkey} user add alice --name ${byte} --password-stdin`, environment, 'a good password'),
    await runBytes(`${latchkey} user remove ${byte}`, environment),
    await runBytes(
      `${latchkey} user add alice --password-stdin`,
      environment,
      Buffer.from('a good pass\xffword', 'latin1'),
    ),
    await runBytes(
      `${latchkey} client add web --grant password --secret-stdin`,
      environment,
      Buffer.from('a good secr\xe9t', 'latin1'),
    ),
    await run(
      process.execPath,
      [launcher, 'client', 'add', 'web', '--grant', 'password', '--secret-stdin'],
      environment,
      'two\nlines of it',
    ),
    await run(
      process.execPath,
      [launcher, 'user', 'add', 'ali\ufffdce', '--password-stdin'],
      environment,
      'a good password',
    ),
    await run(
      process.execPath,
      [launcher, 'user', 'add', 'alice', '--password-stdin'],
      environment,
      'a good pass\ufffdword',
    ),
  ]
  const said = refusals.map(({ stderr }) => stderr.trimEnd().replace(/^latchkey: /, ''))
  t.deepEqual(
    refusals.map(({ code }) => code),
    Array(8).fill(2),
    said.join('\n'),
  )
  t.deepEqual(said, [
    ...Array(3).fill('an argument is not UTF-8: look at the encoding of this terminal'),
    '--password-stdin: what came on stdin is not UTF-8',
    '--secret-stdin: what came on stdin is not UTF-8',
    '--secret-stdin: a client secret is one line of text',
    'the username has a character that cannot be seen: U+FFFD',
    'the password has a character that cannot be typed',
  ])
  const setting = await runBytes(`LATCHKEY_AUDIENCE=${byte} ${latchkey} user list`, environment)
  t.deepEqual([setting.code, setting.stderr], [78, 'latchkey: LATCHKEY_AUDIENCE has a value that is not UTF-8\n'])
  t.throws(() => readConfig({ LATCHKEY_DATABASE_URL: 'file:\ufffd.db' }), { message: /not UTF-8/ })
  // Whoever was named so when that was not looked at can be removed: the character as such is no broken byte.
  const database = new Database(join(folder, 'data/latchkey.db'))
  t.is(database.prepare('SELECT count(*) FROM users').pluck().get(), 0)
  database
    .prepare(
      "INSERT INTO users (id, username, username_key, password_hash, credential_version, created_at) VALUES ('a', ?, ?, 'x', 1, 0)",
    )
    .run('ali\ufffdce', 'ali\ufffdce')
  database.close()
  const removed = await runCli(['user', 'remove', 'ali\ufffdce'], environment)
  t.is(removed.code, 0, removed.stderr)
  const added = await runBytes(
    `${latchkey} user add "$(printf 'Zo\\303\\253')" --password-stdin`,
    environment,
    'a good pässword',
  )
  t.is(added.code, 0, added.stderr)
})

test('commands find a user with white space around the name, and hold new texts to the rules', async t => {
  const environment = migratedDeployment(createFolder(t), { LATCHKEY_BOOTSTRAP: 'off' })
  const cli = (args: string[], stdin = '') => runCli(args, environment, stdin)
  const add = (...args: string[]) => cli(['user', 'add', ...args, '--password-stdin'], 'a good password')
  t.is((await add('alice', '--email', ' alice@example.com ', '--name', 'Alice\u2028Doe')).code, 0)
  const { stdout } = await cli(['user', 'show', '\u3000Alice ', '--json'])
  t.like(JSON.parse(stdout), { username: 'alice', email: 'alice@example.com', full_name: 'Alice Doe' })
  for (const [args, why] of [
    [['bob\u3164'], 'the username has a character that cannot be seen: U+3164'],
    [['ｂｏｂ'], 'the username has letters of full or half width, which look like the usual ones'],
    [[' bob'], 'the username begins or ends with white space'],
    [['bob', '--email', 'bob'], '--email is not one e-mail address'],
    [['bob', '--name', 'Bob\u202e'], '--name has a character that cannot be in a name: U+202E'],
  ] as const) {
    const { code, stderr } = await add(...args)
    t.deepEqual([code, stderr], [2, `latchkey: ${why}\n`])
  }
  t.deepEqual(await add('ＡLICE'.normalize('NFKC')), {
    code: 1,
    stdout: '',
    stderr: 'latchkey: the username ALICE is taken\n',
  })
  t.is((await add('bob')).code, 0)
})
