/** A command line that never fools anybody: errors a script can read, help and lists that fit a terminal, what a shell completes. Issue "Operate it" 4. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { auditEvent, auditEventTypes } from '../../src/audit/audit.ts'
import { describeSpace } from '../../src/cli/doctor_file.ts'
import { createClient } from '../../src/clients/client.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import { documents } from '../_documents.ts'
import { createFolder, deployment, type Environment, migratedDeployment, run, runCommand } from '../_process.ts'

function startCli(t: ExecutionContext, extra: Environment = {}) {
  const environment = migratedDeployment(createFolder(t), extra)
  return { environment, cli: (args: readonly string[], stdin = '') => runCommand(args, environment, stdin) }
}

const failures: readonly (readonly [
  what: string,
  args: readonly string[],
  code: number,
  error: string,
  words: RegExp,
  settings?: Environment,
])[] = [
  ['an unknown command', ['usr', '--json'], 2, 'invalid_usage', /^unknown command 'usr'/],
  ['an unknown option', ['user', 'list', '--json', '--all'], 2, 'invalid_usage', /^unknown option '--all'/],
  ['a missing argument', ['user', 'add', '--json'], 2, 'invalid_usage', /^missing required argument 'username'/],
  ['a value that an option does not take', ['audit', '--limit', '0', '--json'], 2, 'invalid_usage', /at least 1/],
  ['an option without its value', ['audit', '--json', '--limit'], 2, 'invalid_usage', /argument missing/],
  ['a rule of ours', ['session', 'revoke', '--json'], 2, 'invalid_usage', /^say which/],
  [
    'a member that cannot be',
    ['client', 'add', 'a b', '--grant', 'password', '--json'],
    2,
    'invalid_usage',
    /a client id has/,
  ],
  ['a secret that nobody gave', ['user', 'add', 'bob', '--json'], 2, 'invalid_usage', /--password-stdin/],
  ['what is not there', ['user', 'show', 'bob', '--json'], 1, 'not_found', /^there is no user bob$/],
  ['a conflict', ['secret', 'drop-old', '--json'], 1, 'no_old_secret', /./],
  [
    'a setting',
    ['user', 'list', '--json'],
    78,
    'invalid_settings',
    /^LATCHKEY_PORT is "eighty"/,
    { LATCHKEY_PORT: 'eighty' },
  ],
  [
    'no database',
    ['user', 'list', '--json'],
    1,
    'failed',
    /^there is no database \/nowhere\/x\.db; /,
    { LATCHKEY_DATABASE_URL: 'file:/nowhere/x.db' },
  ],
]

for (const [what, args, code, error, words, settings = {}] of failures) {
  test(`--json: ${what} is one JSON document on stdout, the code ${error}, and nothing on stderr`, async t => {
    const { environment } = startCli(t)
    if (error === 'no_old_secret')
      writeFileSync(join(environment.HOME!, 'data/secret'), Buffer.alloc(32, 's').toString('base64url'), {
        mode: 0o600,
      })
    const result = await runCommand(args, { ...environment, ...settings })
    t.deepEqual([result.code, result.stderr], [code, ''])
    t.regex(result.stdout, /^\{.*\}\n$/)
    const document = JSON.parse(result.stdout)
    t.deepEqual(Object.keys(document), ['error', 'error_description'])
    t.is(document.error, error)
    t.regex(document.error_description, words)

    const plain = await runCommand(
      args.filter(arg => arg !== '--json'),
      { ...environment, ...settings },
    )
    t.deepEqual([plain.code, plain.stdout], [code, ''])
    t.not(plain.stderr, '')
  })
}

test('--json after -- is an operand, and its errors are text', async t => {
  const { cli } = startCli(t)
  t.deepEqual(await cli(['user', 'show', '--', '--json']), {
    code: 1,
    stdout: '',
    stderr: 'latchkey: there is no user --json\n',
  })
})

test('help shows the help of a command, however deep, and names one that is not there', async t => {
  const { cli } = startCli(t)
  for (const words of [['user', 'add'], ['user'], ['doctor']]) {
    const help = await cli(['help', ...words])
    t.deepEqual(help, await cli([...words, '--help']))
    t.regex(help.stdout, new RegExp(`^Usage: latchkey ${words.join(' ')} `))
  }
  t.deepEqual(await cli(['help']), await cli(['--help']))
  t.deepEqual(await cli(['help', 'user', 'ad']), {
    code: 2,
    stdout: '',
    stderr: 'latchkey: there is no command user ad; latchkey --help lists them\n',
  })
})

test('audit: no line has more than 100 columns, and nothing of an event is left out', async t => {
  const { environment, cli } = startCli(t)
  const { storage } = openSqliteStorage(environment.LATCHKEY_DATABASE_URL!.slice('file:'.length))
  const username = 'u'.repeat(128)
  const [clientId, ip, requestId] = ['c'.repeat(64), 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'r'.repeat(30)]
  const user = {
    id: 'usr_AAAAAAAAAAAAAAAAAAAAAA',
    username,
    credentialVersion: 1,
    createdAt: 1,
    passwordHash: undefined,
  }
  await storage.createUsers([user], auditEvent('user.created', 1, {}))
  const detail = `a reason ${'of many words '.repeat(20)}${'x'.repeat(150)}`
  for (const type of auditEventTypes) {
    const event = auditEvent(
      type,
      1_800_000_000,
      { ip, requestId },
      { userId: user.id, clientId, sessionId: 's'.repeat(22), detail },
    )
    await storage.addAuditEvents([event])
  }
  await storage.close()

  const { stdout } = await cli(['audit', '--type', 'session.retried_elsewhere'])
  const lines = stdout.split('\n')
  t.deepEqual(
    lines.filter(line => line.length > 100),
    [],
  )
  t.regex(lines[1]!, /^2027-01-15T08:00:00Z {2}session\.retried_elsewhere {2}u{23}… {2}c{23}…$/)
  const told = lines
    .slice(2)
    .map(line => line.trim())
    .join('')
  for (const fact of [username, clientId, ip, requestId, 's'.repeat(22), 'x'.repeat(150)])
    t.true(told.includes(fact), fact)
  t.true((await cli(['audit'])).stdout.split('\n').every(line => line.length <= 100))
})

test('audit --help lists every type; one that there is not is refused, the part before the dot is not', async t => {
  const { cli } = startCli(t)
  const { stdout } = await cli(['audit', '--help'])
  for (const type of auditEventTypes) t.true(stdout.includes(`\n  ${type}\n`), type)
  for (const type of ['session.revoked', 'session', 'sign_in'])
    t.is((await cli(['audit', '--type', type])).code, 0, type)
  for (const type of ['sessions', 'session.', 'revoked', '']) {
    const { code, stdout, stderr } = await cli(['audit', '--type', type])
    t.deepEqual([code, stdout], [2, ''], type)
    t.regex(stderr, /--type .*there are .*session\.revoked/)
  }
})

test('times are ISO in text and numbers in JSON', async t => {
  const { cli } = startCli(t)
  await cli(['user', 'add', 'alice', '--password-stdin'], 'a good password')
  const { created_at } = JSON.parse((await cli(['user', 'show', 'alice', '--json'])).stdout)
  t.is(typeof created_at, 'number')
  const iso = new Date(created_at * 1000).toISOString().replace('.000Z', 'Z')
  t.regex((await cli(['user', 'show', 'alice'])).stdout, new RegExp(`^created_at +${iso}$`, 'm'))
})

test('client list says what the client browser is, where there is one', async t => {
  const { environment, cli } = startCli(t)
  await cli(['client', 'add', 'app', '--public', '--grant', 'password'])
  t.notRegex((await cli(['client', 'list'])).stdout, /browser/)
  const { storage } = openSqliteStorage(environment.LATCHKEY_DATABASE_URL!.slice('file:'.length))
  const browser = createClient({ id: 'browser', grantTypes: [], scope: '', createdAt: 1 })
  await storage.createClient(browser, auditEvent('client.created', 1, {}))
  await storage.close()
  for (const args of [
    ['client', 'list'],
    ['client', 'show', 'browser'],
  ])
    t.regex((await cli(args)).stdout, /\(browser is the server itself: sign-ins at its pages, .*\)\n$/)
  t.notRegex((await cli(['client', 'show', 'app'])).stdout, /the server itself/)
  t.is((await cli(['client', 'disable', 'browser'])).code, 0)
})

test('client add --name and client update --name: what its users know it by, and nothing that cannot be shown', async t => {
  const { cli } = startCli(t)
  const add = ['client', 'add', 'app', '--public', '--grant', 'password', '--json']
  t.is((await cli([...add, '--name', 'Our\u202eapp'])).code, 2)
  t.is(JSON.parse((await cli([...add, '--name', ' Our   app '])).stdout).client_name, 'Our app')
  const update = async (name: string) =>
    JSON.parse((await cli(['client', 'update', 'app', '--name', name, '--json'])).stdout).client_name
  t.is(await update('우리 앱'), '우리 앱')
  t.is(await update(''), null)
  t.is((await cli(['client', 'update', 'app', '--name', 'x'.repeat(257)])).code, 2)
})

for (const [args, why] of [
  [['--public', '--grant', 'refresh_token'], /--grant needs password as well/],
  [['--grant', 'client_credentials', '--grant', 'refresh_token'], /--grant needs password as well/],
  [['--public', '--grant', 'client_credentials'], /client_credentials grant is for clients that authenticate/],
  [['--public'], /name what the client may do with --grant/],
  [['--grant', 'client_credentials', '--auth-method', 'private_key_jwt'], /private_key_jwt needs the keys/],
] as const) {
  test(`client add ${args.join(' ')} is refused: it could never get a token`, async t => {
    const { cli } = startCli(t)
    const { code, stderr } = await cli(['client', 'add', 'app', ...args])
    t.is(code, 2)
    t.regex(stderr, why)
    t.is((await cli(['client', 'add', 'app', '--public', '--grant', 'password', '--grant', 'refresh_token'])).code, 0)
    t.is((await cli(['client', 'update', 'app', '--grant', 'refresh_token'])).code, 0, 'whoever is signed in stays so')
  })
}

for (const level of ['trace', 'fatal']) {
  test(`LATCHKEY_LOG_LEVEL=${level}, which is documented nowhere, is refused`, async t => {
    const { cli } = startCli(t, { LATCHKEY_LOG_LEVEL: level })
    const { code, stderr } = await cli(['user', 'list'])
    t.is(code, 78)
    t.regex(stderr, /it takes error, warn, info, debug or silent/)
    t.is((await startCli(t, { LATCHKEY_LOG_LEVEL: 'debug' }).cli(['user', 'list'])).code, 0)
  })
}

test('what the steps of the documents leave behind, with tokens or hashes in it, is ignored by git', async t => {
  const written = documents.flatMap(({ path, blocks }) =>
    blocks
      .filter(({ language, mark }) => language === 'sh' && !mark.startsWith('not run: '))
      .flatMap(({ text }) => [
        ...[...text.matchAll(/(?<!2)> ?([\w./-]+)/g)].map(([, file]) => file!),
        ...[...text.matchAll(/latchkey backup (\S+)/g)].map(([, file]) => file!),
      ])
      .filter(file => !file.startsWith('/dev/'))
      .map(file => ({ path, file })),
  )
  t.true(written.length > 3)
  for (const { path, file } of written) {
    const { code } = await run('git', ['check-ignore', '-q', file], { PATH: process.env.PATH! })
    t.is(code, 0, `${file} of ${path}`)
  }
})

test('completion bash: commands, the verbs of each, and the options of each verb', async t => {
  const script = (await startCli(t).cli(['completion', 'bash'])).stdout
  const complete = async (...words: string[]) => {
    const line = [
      `COMP_WORDS=(${['latchkey', ...words].map(word => `'${word}'`).join(' ')})`,
      `COMP_CWORD=${words.length}`,
      '_latchkey',
      'printf "%s " $'.concat('{COMPREPLY[@]}'),
    ]
    const { code, stdout, stderr } = await run('bash', ['--norc', '-c', `${script}\n${line.join('\n')}`], {
      PATH: process.env.PATH!,
    })
    t.deepEqual([code, stderr], [0, ''])
    return stdout.trim().split(' ')
  }
  for (const command of ['serve', 'user', 'client', 'completion', 'help', '--version'])
    t.true((await complete('')).includes(command))
  t.deepEqual(await complete('se'), ['serve', 'session', 'secret'])
  t.deepEqual(await complete('user', 'a'), ['add'])
  t.deepEqual(await complete('user', 'add', 'alice', '--pass'), ['--password-stdin'])
  t.deepEqual(await complete('completion', ''), ['bash', 'zsh', 'fish', '--help'])
  t.deepEqual(await complete('client', 'add', '--p'), ['--public'])
  t.deepEqual(await complete('nothing', 'u'), ['user'])
})

test('completion zsh and fish have every command; another shell is refused', async t => {
  const { cli } = startCli(t)
  for (const shell of ['zsh', 'fish']) {
    const { code, stdout } = await cli(['completion', shell])
    t.is(code, 0)
    for (const words of [' user add', ' key rotate', ' doctor']) t.true(stdout.includes(`'${words}'`), words)
    t.true(stdout.includes('password-stdin'))
  }
  t.is((await cli(['completion', 'tcsh'])).code, 2)
})

test('a log at a terminal is for people, and elsewhere JSON', async t => {
  const environment = deployment(createFolder(t))
  const serve = (output: string) =>
    run(
      'timeout',
      [
        '-s',
        'INT',
        '40',
        'script',
        '-qec',
        `timeout -s INT 10 "${process.execPath}" bin/latchkey.js serve ${output}`,
        '/dev/null',
      ],
      environment,
    )
  const { stdout } = await serve('')
  t.regex(stdout, /^\d\d:\d\d:\d\d INFO {2}listening url=http:\/\/127\.0\.0\.1:\d+ issuer=\S+ .*database=file:\S+\r?$/m)
  t.regex(stdout, /^\d\d:\d\d:\d\d INFO {2}stopping signal=SIGINT/m)
  t.notRegex(stdout, /"level"/)
  t.regex((await serve('| cat')).stdout, /^\{"level":30,.*"msg":"listening"\}\r?$/m)
})

test('doctor names a folder in which others can write', async t => {
  const { environment, cli } = startCli(t)
  const folders = async () =>
    JSON.parse((await cli(['doctor', '--json'])).stdout).findings.filter(
      ({ check }: { check: string }) => check === 'folders',
    )
  t.deepEqual(await folders(), [])
  const data = join(environment.HOME!, 'data')
  for (const mode of [0o720, 0o702]) {
    chmodSync(data, mode)
    t.deepEqual(await folders(), [
      {
        check: 'folders',
        state: 'warning',
        found: `others can write in ${data}, and put a file of theirs in the place of one`,
        advice: `chmod go-w ${data}`,
      },
    ])
  }
})

test('doctor calls a full disk full, and warns of one that soon will be', t => {
  t.like(describeSpace(0), { state: 'failed', found: 'it is full' })
  t.like(describeSpace(2 ** 20), { state: 'failed', found: 'it is full' })
  t.like(describeSpace(100e6), { state: 'warning', found: '100 MB are free' })
  t.like(describeSpace(1e9), { state: 'ok' })
})
