/** `npx latchkey`, as scripts call it: one JSON document on stdout, exit codes 0, 1 and 2, secrets on stdin. */
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import bcrypt from 'bcrypt'
import Database from 'better-sqlite3'
import { auditEvent } from '../../src/audit/audit.ts'
import { type Client, createClient } from '../../src/clients/client.ts'
import { createSession } from '../../src/sessions/session.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite.ts'
import { type ClientKey, createClientKey, signAssertion, withAssertion } from '../_client_keys.ts'
import {
  createFolder,
  deployment,
  launcher,
  migratedDeployment,
  postForm,
  root,
  run,
  runCli,
  runCommand,
  startProcess,
} from '../_process.ts'

/** A deployment without a server: each call is one `latchkey` command, in a process of its own when it is given `runCli`. */
function startCli(t: ExecutionContext, runIt = runCommand) {
  const environment = migratedDeployment(createFolder(t), { LATCHKEY_BOOTSTRAP: 'off' })
  const cli = (args: readonly string[], stdin = '') => runIt(args, environment, stdin)
  return {
    environment,
    cli,
    async json(args: readonly string[], stdin = '') {
      const { code, stdout, stderr } = await cli([...args, '--json'], stdin)
      t.deepEqual([code, stderr], [0, ''])
      return JSON.parse(stdout)
    },
  }
}

/** What the report of an import says beside numbers where there is nothing to say. */
const report = { without_password: 0, disabled: 0, weak_hashes: 0, left_out: 0, ignored: [] }
const imported = (count: number) => ({ imported: count, ...report })

test('user add, show, list, disable, enable, password and remove', async t => {
  const { json, cli } = startCli(t, runCli)

  const alice = await json(
    ['user', 'add', 'alice', '--email', 'alice@example.com', '--name', 'Alice', '--password-stdin'],
    'a good password',
  )
  t.regex(alice.id, /^usr_[\w-]{22}$/)
  t.like(alice, { username: 'alice', email: 'alice@example.com', full_name: 'Alice', disabled_at: null })
  t.deepEqual(await json(['user', 'show', 'ALICE']), alice)
  t.deepEqual(await json(['user', 'list']), [alice])
  t.true((await json(['user', 'disable', 'alice'])).disabled_at > 0)
  t.is((await json(['user', 'enable', 'alice'])).disabled_at, null)
  t.deepEqual(await json(['user', 'password', 'alice', '--password-stdin'], 'a better password\n'), alice)
  t.regex(
    (await cli(['user', 'list'])).stdout,
    /^USERNAME +ID +EMAIL +NAME +ROLES +PASSWORD +DISABLED\nalice +usr_\S+ +alice@example.com +Alice +- +set +-\n$/,
  )
  t.deepEqual(await json(['user', 'remove', 'alice']), { removed: 'alice' })
  t.deepEqual(await json(['user', 'list']), [])
})

test('user add and user update take roles and names, one option for each; what is not named stays', async t => {
  const { json, cli } = startCli(t)
  const add = ['user', 'add', 'alice', '--email', 'alice@example.com', '--role', 'admin', '--role', 'billing:read']
  const alice = await json([...add, '--password-stdin'], 'a good password')
  t.deepEqual(alice.roles, ['admin', 'billing:read'])
  const update = (...args: string[]) => json(['user', 'update', 'alice', ...args])

  t.deepEqual(await update('--name', 'Alice'), { ...alice, full_name: 'Alice' })
  t.deepEqual(await update('--role', 'editor'), { ...alice, full_name: 'Alice', roles: ['editor'] })
  t.regex((await cli(['user', 'show', 'alice'])).stdout, /\nroles +editor\n/)
  t.deepEqual((await update('--role', 'none', '--email', '')).email, null)
  t.deepEqual(await json(['user', 'update', 'alice', '--username', 'Alicia', '--email', 'alicia@example.com']), {
    ...alice,
    username: 'Alicia',
    email: 'alicia@example.com',
    full_name: 'Alice',
    roles: [],
  })
  t.is((await cli(['user', 'show', 'alice'])).code, 1)
  t.true((await json(['user', 'update', 'alicia', '--email-verified'])).email_verified)
  t.false((await json(['user', 'update', 'alicia', '--no-email-verified'])).email_verified)
  t.deepEqual(
    (await json(['audit', '--type', 'user.updated'])).map(({ detail }: { detail: string }) =>
      detail.replace(/^.*: /, ''),
    ),
    ['email_verified', 'email_verified', 'username email', 'email roles', 'roles', 'full_name'],
  )
})

test('a username that another user has, in any form, is not given to a second one', async t => {
  const { json, cli } = startCli(t)
  for (const name of ['alice', 'bob']) await json(['user', 'add', name, '--password-stdin'], 'a good password')
  t.deepEqual(await cli(['user', 'update', 'bob', '--username', 'ALICE']), {
    code: 1,
    stdout: '',
    stderr: 'latchkey: the username ALICE is taken\n',
  })
  t.is((await json(['user', 'update', 'alice', '--username', 'ALICE'])).username, 'ALICE')
})

test('a user that is there or is not there is exit code 1 and one line', async t => {
  const { cli } = startCli(t, runCli)
  const add = () => cli(['user', 'add', 'alice', '--password-stdin'], 'a good password')
  t.is((await add()).code, 0)
  t.deepEqual(await add(), { code: 1, stdout: '', stderr: 'latchkey: the username alice is taken\n' })
  t.deepEqual(await cli(['user', 'remove', 'bob']), { code: 1, stdout: '', stderr: 'latchkey: there is no user bob\n' })
})

test('a command that has to be given differently is exit code 2', async t => {
  const { cli } = startCli(t, runCli)
  t.is((await cli(['user', 'add', 'alice', '--password-stdin'], 'short')).code, 2)
  t.is((await cli(['user', 'ad'])).code, 2)
  t.is((await cli(['user', 'add', 'alice', '--password-stdin'], 'long enough by itself')).code, 0)
})

for (const [args, stdin, expected] of [
  [['user', 'add', 'alice'], '', /give it with --password-stdin, or run this at a terminal/],
  [['user', 'add', 'alice', '--password-stdin'], 'short', /at least 15 characters/],
  [['user', 'add', 'alice', '--password-stdin'], 'fourteen chars', /at least 15 characters/],
  [['user', 'add', 'alice', '--password-stdin'], '', /nothing came on stdin/],
  [['user', 'add', ' alice', '--password-stdin'], 'a good password', /the username begins or ends with white space/],
  [['user', 'add'], '', /missing required argument 'username'/],
  [
    ['user', 'add', 'alice', '--role', 'two words', '--password-stdin'],
    'a good password',
    /--role takes at most 50 names/,
  ],
  [['user', 'update', 'alice'], '', /name what is to change; see latchkey user update --help/],
  [['user', 'update', 'alice', '--username', ' alice'], '', /--username begins or ends with white space/],
  [['user', 'update', 'alice', '--email', 'alice'], '', /--email is not one e-mail address/],
  [['user', 'update', 'alice', '--role', ''], '', /--role takes at most 50 names/],
  [
    ['client', 'add', 'web', '--grant', 'password', '--claim', 'phone'],
    '',
    /--claim phone: there are roles, preferred_username/,
  ],
  [['user', 'add', 'alice', '--password', 'x'], '', /unknown option '--password'/],
  [['usr'], '', /unknown command 'usr'.*\n.*Did you mean user/],
  [['client', 'add', 'web'], '', /name what the client may do with --grant/],
  [
    ['client', 'add', 'web', '--grant', 'implicit'],
    '',
    /--grant implicit: there are password, authorization_code, refresh_token/,
  ],
  [['client', 'add', 'usr_web', '--grant', 'password'], '', /does not begin with usr_/],
  [['client', 'add', 'web', '--grant', 'password', '--scope', 'a"b'], '', /--scope takes scope tokens/],
  [['client', 'add', 'web', '--public', '--secret-stdin', '--grant', 'password'], 'x', /a public client has no secret/],
  [['session', 'revoke'], '', /say which/],
  [['session', 'revoke', 'x', '--all'], '', /say which/],
  [['session', 'list', '--limit', 'many'], '', /at least 1/],
  [['audit', '--since', 'yesterday'], '', /It takes 24h, 7d/],
] as const) {
  test(`usage: ${args.join(' ')} < ${JSON.stringify(stdin)} is exit code 2 and says what is expected`, async t => {
    const { code, stdout, stderr } = await startCli(t).cli(args, stdin)
    t.deepEqual([code, stdout], [2, ''])
    t.regex(stderr, expected)
  })
}

test('every command has --help; serve has no result, user export has no other form, all others take --json', async t => {
  const commands = [
    ['serve'],
    ['migrate'],
    ['audit'],
    ['backup'],
    ['doctor'],
    ...['add', 'list', 'show', 'password', 'disable', 'enable', 'remove', 'import', 'export'].map(verb => [
      'user',
      verb,
    ]),
    ...['add', 'update', 'list', 'show', 'rotate-secret', 'drop-old-secret', 'disable', 'enable', 'remove'].map(
      verb => ['client', verb],
    ),
    ...['list', 'revoke'].map(verb => ['session', verb]),
    ...['build', 'check'].map(verb => ['breached', verb]),
    ...['list', 'rotate'].map(verb => ['key', verb]),
    ...['status', 'rotate', 'drop-old'].map(verb => ['secret', verb]),
    ...['add', 'list', 'show', 'update', 'disable', 'enable', 'rotate-secret', 'drop-old-secret', 'remove'].map(
      verb => ['webhook', verb],
    ),
  ]
  const { cli } = startCli(t)
  for (const command of commands) {
    const { code, stdout } = await cli([...command, '--help'])
    t.is(code, 0)
    t.regex(stdout, new RegExp(`^Usage: latchkey ${command.join(' ')} `))
    t.is(stdout.includes('--json'), !['serve', 'user export'].includes(command.join(' ')), command.join(' '))
  }
})

test('client add prints the secret of a confidential client once; its database never holds it', async t => {
  const { json, environment } = startCli(t)
  const web = await json([
    'client',
    'add',
    'web',
    '--grant',
    'password',
    '--grant',
    'refresh_token',
    '--scope',
    'read write',
  ])
  t.regex(web.client_secret, /^lks_[\w-]{43}$/)
  const { client_secret: _, ...described } = web
  t.like(described, {
    client_id: 'web',
    public: false,
    grant_types: ['password', 'refresh_token'],
    scope: 'read write',
  })
  t.deepEqual(await json(['client', 'show', 'web']), described)

  const given = await json(['client', 'add', 'given', '--secret-stdin', '--grant', 'password'], 'known to the operator')
  t.false('client_secret' in given)
  t.true((await json(['client', 'add', 'phone', '--public', '--grant', 'password'])).public)
  const rotated = await json(['client', 'rotate-secret', 'web'])
  t.not(rotated.client_secret, web.client_secret)
  const bytes = readFileSync(environment.LATCHKEY_DATABASE_URL!.slice('file:'.length), 'latin1')
  for (const secret of [web.client_secret, rotated.client_secret, 'known to the operator'])
    t.false(bytes.includes(secret))
})

/** Writes a JWK Set beside the database. @returns its path */
function writeKeys(environment: { HOME?: string }, name: string, document: unknown): string {
  const file = join(environment.HOME!, name)
  writeFileSync(file, typeof document === 'string' ? document : JSON.stringify(document))
  return file
}

/** A deployment with the clients `web` (two secrets), `phone` (public) and `worker` (keys), and an eye on its database. */
async function startCliWithClients(t: ExecutionContext) {
  const deployed = startCli(t)
  // As of a deployment that has a master secret already: what is refused makes none.
  deployed.environment.LATCHKEY_SECRET = Buffer.alloc(32, 'secret').toString('base64url')
  const file = deployed.environment.LATCHKEY_DATABASE_URL!.slice('file:'.length)
  const { storage } = openSqliteStorage(file)
  t.teardown(() => storage.close())
  const key = await createClientKey('ES256', 'worker-1')
  const add = (client: Partial<Client> & { id: string }) =>
    storage.createClient(
      createClient({ grantTypes: ['password', 'refresh_token'], scope: 'read write', createdAt: 1, ...client }),
      auditEvent('client.created', 1, {}),
    )
  const secrets = ['client_secret_basic', 'client_secret_post'] as const
  await add({ id: 'web', authenticationMethods: [...secrets], secretDigests: ['new', 'old'] })
  await add({ id: 'phone' })
  await add({
    id: 'worker',
    authenticationMethods: ['private_key_jwt'],
    jwks: { keys: [key.jwk] },
    grantTypes: ['client_credentials'],
  })
  const watcher = new Database(file, { readonly: true })
  t.teardown(() => watcher.close())
  return {
    ...deployed,
    storage,
    key,
    /** Another number after every write. */
    version: () => watcher.pragma('data_version', { simple: true }),
    /** Insists on exit code 2, one line that says what is expected, and a database that is as it was. */
    async assertUsage(args: readonly string[], expected: RegExp, stdin = '') {
      const before = watcher.pragma('data_version', { simple: true })
      const { code, stdout, stderr } = await deployed.cli(args, stdin)
      t.deepEqual([code, stdout], [2, ''], args.join(' '))
      t.regex(stderr, expected)
      t.regex(stderr, /^[^\n]{1,160}\n$/, args.join(' '))
      t.is(watcher.pragma('data_version', { simple: true }), before, args.join(' '))
    },
  }
}

const addWorker = ['client', 'add', 'new', '--grant', 'client_credentials']

test('client add takes every option and shows it under its registered name (RFC 7591 §2)', async t => {
  const { environment, json } = startCli(t)
  const { jwk } = await createClientKey('ES256', 'a')
  const jwks = writeKeys(environment, 'jwks.json', { keys: [jwk] })

  const before = Math.floor(Date.now() / 1000)
  const { created_at, client_secret, ...web } = await json(
    [
      'client add web --grant password --grant refresh_token --grant password',
      '--auth-method private_key_jwt --auth-method client_secret_post --auth-method client_secret_post',
      `--jwks ${jwks} --audience https://api.example.com --audience urn:b --audience urn:b --audience rabbitmq`,
      '--resource https://api.example.com --resource mail',
      '--access-token-ttl 5m --refresh-idle-ttl 30d --refresh-absolute-ttl 12h --cors-origin https://app.example.com',
      '--cors-origin http://localhost:8080 --cors-origin capacitor://localhost --claim roles --claim email --claim roles',
      '--first-party --require-factor --sign-up',
    ]
      .join(' ')
      .split(' ')
      .concat('--name', 'Our app', '--scope', 'read write'),
  )

  t.true(created_at >= before && created_at <= Date.now() / 1000)
  t.regex(client_secret, /^lks_[\w-]{43}$/)
  t.deepEqual(web, {
    client_id: 'web',
    client_name: 'Our app',
    public: false,
    token_endpoint_auth_methods: ['private_key_jwt', 'client_secret_post'],
    secrets: 1,
    jwks: { keys: [jwk] },
    jwks_uri: null,
    grant_types: ['password', 'refresh_token'],
    scope: 'read write',
    audience: ['https://api.example.com', 'urn:b', 'rabbitmq'],
    resources: ['https://api.example.com', 'mail'],
    access_token_ttl: 300,
    refresh_idle_ttl: 2_592_000,
    refresh_absolute_ttl: 43_200,
    cors_origins: ['https://app.example.com', 'http://localhost:8080', 'capacitor://localhost'],
    access_token_claims: ['roles', 'email'],
    first_party: true,
    require_factor: true,
    sign_up: true,
    disabled_at: null,
  })
  t.deepEqual(await json(['client', 'show', 'web']), { ...web, created_at })
  t.deepEqual(await json(['client', 'list']), [{ ...web, created_at }])
})

test('client add: what is not said is as the server has it, and how the client authenticates follows from the rest', async t => {
  const { environment, json } = startCli(t)
  const { jwk } = await createClientKey()
  const jwks = writeKeys(environment, 'jwks.json', { keys: [jwk] })
  const uri = 'https://client.example.com/jwks.json'

  const { created_at: _, client_secret: __, ...web } = await json(['client', 'add', 'web', '--grant', 'password'])
  t.deepEqual(web, {
    client_id: 'web',
    client_name: null,
    public: false,
    token_endpoint_auth_methods: ['client_secret_basic', 'client_secret_post'],
    secrets: 1,
    jwks: null,
    jwks_uri: null,
    grant_types: ['password'],
    scope: '',
    audience: null,
    resources: null,
    access_token_ttl: null,
    refresh_idle_ttl: null,
    refresh_absolute_ttl: null,
    cors_origins: [],
    access_token_claims: [],
    first_party: null,
    require_factor: false,
    sign_up: false,
    disabled_at: null,
  })
  const api = await json(['client', 'add', 'api', '--resource', 'https://api.example.com'])
  t.like(api, { grant_types: [], resources: ['https://api.example.com'], public: false, secrets: 1 })
  t.like(await json(['client', 'update', 'api', '--resource', 'any']), { resources: null })
  for (const [id, options, expected] of [
    ['phone', ['--public'], { token_endpoint_auth_methods: ['none'], public: true, secrets: 0 }],
    ['tablet', ['--auth-method', 'none'], { token_endpoint_auth_methods: ['none'], public: true, secrets: 0 }],
    ['keys', ['--jwks', jwks], { token_endpoint_auth_methods: ['private_key_jwt'], secrets: 0, jwks: { keys: [jwk] } }],
    ['uri', ['--jwks-uri', uri], { token_endpoint_auth_methods: ['private_key_jwt'], secrets: 0, jwks_uri: uri }],
  ] as const) {
    const added = await json(['client', 'add', id, '--grant', 'password', ...options])
    t.like(added, expected)
    t.false('client_secret' in added)
  }
})

test('client update changes what is named and nothing else; default and none take a setting back', async t => {
  const { environment, json, storage } = await startCliWithClients(t)
  const { jwk } = await createClientKey('EdDSA')
  const jwks = writeKeys(environment, 'jwks.json', { keys: [jwk], of: 'nobody' })
  const jwks_uri = 'https://client.example.com/jwks.json'
  const others = await Promise.all(['web', 'phone'].map(id => storage.findClient(id)))
  let worker = await json(['client', 'show', 'worker'])

  for (const [options, changes] of [
    [['--scope', ''], { scope: '' }],
    [
      ['--grant', 'password', '--audience', 'urn:a', '--audience', 'urn:b', '--access-token-ttl', '90s'],
      { grant_types: ['password'], audience: ['urn:a', 'urn:b'], access_token_ttl: 90 },
    ],
    [
      ['--refresh-idle-ttl', '2h', '--refresh-absolute-ttl', '1s', '--cors-origin', 'https://a.example'],
      { refresh_idle_ttl: 7200, refresh_absolute_ttl: 1, cors_origins: ['https://a.example'] },
    ],
    [['--jwks-uri', jwks_uri], { jwks: null, jwks_uri }],
    [['--jwks', jwks], { jwks: { keys: [jwk] }, jwks_uri: null }],
    [
      ['--audience', 'default', '--access-token-ttl', 'default', '--cors-origin', 'none'],
      { audience: null, access_token_ttl: null, cors_origins: [] },
    ],
    [
      ['--refresh-idle-ttl', 'default', '--refresh-absolute-ttl', 'default'],
      { refresh_idle_ttl: null, refresh_absolute_ttl: null },
    ],
    // The keys go with the method that they are for.
    [['--auth-method', 'none'], { token_endpoint_auth_methods: ['none'], public: true, jwks: null }],
  ] as const) {
    worker = { ...worker, ...changes }
    const updated = await json(['client', 'update', 'worker', ...options])
    t.deepEqual(updated, { ...worker, sessions_touched: 0 }, options.join(' '))
  }
  t.deepEqual(await json(['client', 'show', 'worker']), worker)
  t.deepEqual(await Promise.all(['web', 'phone'].map(id => storage.findClient(id))), others)
  t.like((await storage.listAuditEvents(1))[0], { type: 'client.updated', clientId: 'worker' })
})

test('client update that takes the secrets away ends them for good', async t => {
  const { json, storage } = await startCliWithClients(t)

  t.like(await json(['client', 'update', 'web', '--auth-method', 'none']), { public: true, secrets: 0 })
  t.deepEqual((await storage.findClient('web'))?.secretDigests, [])
})

test('usage: client add and update say what is wrong with keys, and change nothing', async t => {
  const { environment, assertUsage, key, cli } = await startCliWithClients(t)
  const set = (name: string, document: unknown) => writeKeys(environment, name, document)
  const publicKeys = /: it takes a JWK Set of public signing keys \(EC, Ed25519, RSA of 2048 bits at least\)\n$/
  const shown = set('private.json', { keys: [key.jwk, { ...key.jwk, d: 'AAAA' }] })

  await assertUsage([...addWorker, '--jwks', shown], publicKeys)
  await assertUsage(['client', 'update', 'worker', '--jwks', shown], publicKeys)
  await assertUsage([...addWorker, '--jwks', set('text.json', 'keys')], publicKeys)
  await assertUsage([...addWorker, '--jwks', 'nowhere.json'], /^latchkey: --jwks nowhere.json: ENOENT/)
  for (const uri of ['ftp://a/', 'https://u:p@a/', 'https://a/#f', ''])
    await assertUsage([...addWorker, '--jwks-uri', uri], /^latchkey: --jwks-uri .*: it takes an https URL\n$/)
  t.is((await cli([...addWorker, '--jwks', set('good.json', { keys: [key.jwk] })])).code, 0)
  t.is((await cli(['client', 'update', 'worker', '--jwks-uri', 'https://a/'])).code, 0)
})

test('usage: client add and update take no methods that do not fit together, and change nothing', async t => {
  const { assertUsage, cli } = await startCliWithClients(t)
  const method = (...names: string[]) => names.flatMap(name => ['--auth-method', name])
  const update = ['client', 'update']
  const rows: [string[], RegExp][] = [
    [
      [...addWorker, ...method('client_secret_jwt')],
      /--auth-method client_secret_jwt: there are none, client_secret_basic/,
    ],
    [[...addWorker, '--public'], /client_credentials grant is for clients that authenticate/],
    [[...addWorker, '--public', ...method('none')], /--public is --auth-method none: give one of them/],
    [[...addWorker, ...method('none', 'client_secret_basic')], /a public client \(none\) has no other method/],
    [[...addWorker, ...method('private_key_jwt')], /private_key_jwt needs the keys of the client or their address/],
    [[...update, 'worker', ...method('none')], /client_credentials grant is for clients that authenticate/],
    [[...update, 'web', ...method('private_key_jwt')], /private_key_jwt needs the keys/],
    [[...update, 'web', ...method('client_secret_post', 'none')], /a public client \(none\) has no other method/],
    [[...update, 'web', '--public'], /unknown option '--public'/],
    [[...update, 'web'], /name what is to change; see latchkey client update --help/],
  ]
  for (const [args, expected] of rows) await assertUsage(args, expected)
  const secret = [...addWorker, '--secret-stdin', '--jwks-uri', 'https://a/']
  await assertUsage(secret, /--secret-stdin: a client that authenticates in this way has no secret/, 'a secret')
  await assertUsage(['client', 'rotate-secret', 'web', '--secret-stdin'], /--secret-stdin: nothing came on stdin/)
  t.is((await cli([...addWorker, ...method('client_secret_basic'), '--secret-stdin'], 'a secret')).code, 0)
  t.is((await cli([...update, 'web', ...method('client_secret_post')])).code, 0)
})

test('usage: client update says what is wrong with a value, and changes nothing', async t => {
  const { assertUsage, cli } = await startCliWithClients(t)
  const update = ['client', 'update', 'web']
  const rows: [string[], RegExp][] = [
    [['--access-token-ttl', '0'], /^latchkey: --access-token-ttl 0: it takes a duration/],
    [['--access-token-ttl', '86401'], /^latchkey: --access-token-ttl 86401: it takes a duration/],
    [['--refresh-idle-ttl', '5x'], /^latchkey: --refresh-idle-ttl 5x: it takes a duration/],
    [['--refresh-absolute-ttl', ''], /^latchkey: --refresh-absolute-ttl : it takes a duration/],
    [['--audience', 'a b'], /^latchkey: --audience a b: it takes an absolute URI or a name/],
    [
      ['--cors-origin', 'https://a.example/'],
      /^latchkey: --cors-origin https:\/\/a.example\/: it takes an origin, such as .*; browsers send it as https:\/\/a\.example/,
    ],
    [
      ['--cors-origin', 'https://*.a.example'],
      /^latchkey: --cors-origin https:\/\/\*\.a\.example: it takes an origin, such as .*; there are no wildcards: /,
    ],
    [
      ['--cors-origin', 'null'],
      /^latchkey: --cors-origin null: it takes an origin, such as .*; null is what local files/,
    ],
    [
      ['--cors-origin', 'none', '--cors-origin', 'https://a.example'],
      /^latchkey: --cors-origin none: it takes an origin/,
    ],
    [['--scope', 'a"b'], /^latchkey: --scope takes scope tokens/],
    // One wrong value of several: none is stored.
    [['--scope', 'x', '--audience', 'urn:a', '--grant', 'implicit'], /^latchkey: --grant implicit: there are/],
  ]
  for (const [options, expected] of rows) await assertUsage([...update, ...options], expected)
  t.is((await cli([...update, '--access-token-ttl', '1d', '--refresh-idle-ttl', '86401'])).code, 0)
})

for (const [what, args, expected] of [
  [
    '--jwks and --jwks-uri at once',
    [...addWorker, '--jwks', 'FILE', '--jwks-uri', 'https://a.example/jwks.json'],
    /here or at an address, not both/,
  ],
  [
    'keys for a public client',
    ['client', 'add', 'new', '--grant', 'password', '--public', '--jwks', 'FILE'],
    /the keys of a client are for private_key_jwt/,
  ],
  [
    'keys that no method uses',
    [...addWorker, '--auth-method', 'client_secret_basic', '--jwks', 'FILE'],
    /the keys of a client are for private_key_jwt/,
  ],
  [
    'an audience that is neither a URI nor a name',
    ['client', 'update', 'web', '--audience', ':foo'],
    /--audience :foo: it takes an absolute URI or a name/,
  ],
  [
    '"default" beside an audience',
    ['client', 'update', 'web', '--audience', 'default', '--audience', 'urn:a'],
    /--audience default: it takes an absolute URI or a name/,
  ],
  [
    'a jwks_uri of plain http, which the server refuses',
    [...addWorker, '--jwks-uri', 'http://a.example/jwks.json'],
    /is https, unless LATCHKEY_PRIVATE_JWKS_URIS is on/,
  ],
  ['an RSA key that is too short', [...addWorker, '--jwks', 'SHORT'], /RSA of 2048 bits at least/],
  ['keys that cannot sign', [...addWorker, '--jwks', 'X25519'], /public signing keys/],
] as const) {
  test(`usage: ${what} is exit code 2`, async t => {
    const { environment, assertUsage, key } = await startCliWithClients(t)
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
    const x25519 = generateKeyPairSync('x25519').publicKey
    const files: Record<string, string> = {
      FILE: writeKeys(environment, 'jwks.json', { keys: [key.jwk] }),
      SHORT: writeKeys(environment, 'short.json', { keys: [short.export({ format: 'jwk' })] }),
      X25519: writeKeys(environment, 'x25519.json', { keys: [x25519.export({ format: 'jwk' })] }),
    }
    await assertUsage(
      args.map(arg => files[arg] ?? arg),
      expected,
    )
  })
}

test('client update to a method with a secret makes one, shows it once, and keeps the one that is there', async t => {
  const { json, storage } = await startCliWithClients(t)
  const method = (name: string) => ['--auth-method', name]

  const updated = await json(['client', 'update', 'phone', ...method('client_secret_post')])
  const { client_secret, sessions_touched: _, ...phone } = updated
  t.regex(client_secret, /^lks_[\w-]{43}$/)
  t.like(phone, { public: false, secrets: 1, token_endpoint_auth_methods: ['client_secret_post'] })
  t.deepEqual(await json(['client', 'show', 'phone']), phone)

  const kept = await json(['client', 'update', 'web', ...method('client_secret_basic')])
  t.false('client_secret' in kept)
  t.deepEqual((await storage.findClient('web'))?.secretDigests, ['new', 'old'])
})

test('a client that is taken, not there or without a secret is exit code 1 and one line, and nothing changes', async t => {
  const { cli, version } = await startCliWithClients(t)
  for (const [args, why] of [
    [['add', 'web', '--grant', 'password'], 'there is a client web already'],
    [['update', 'nobody', '--scope', 'read'], 'there is no client nobody'],
    [['rotate-secret', 'nobody'], 'there is no client nobody'],
    [['drop-old-secret', 'nobody'], 'there is no client nobody'],
    [['rotate-secret', 'phone'], 'phone is a public client: it has no secret'],
    [['rotate-secret', 'worker', '--now'], 'worker authenticates by its keys: it has no secret'],
  ] as const) {
    const before = version()
    t.deepEqual(await cli(['client', ...args]), { code: 1, stdout: '', stderr: `latchkey: ${why}\n` })
    t.is(version(), before, args.join(' '))
  }
})

test('client show and list are tables for a person: every setting, absent ones as a dash, no secret', async t => {
  const { cli, key } = await startCliWithClients(t)
  await cli(['client', 'update', 'web', '--audience', 'urn:a', '--audience', 'urn:b', '--access-token-ttl', '5m'])

  const shown = (await cli(['client', 'show', 'web'])).stdout
  for (const line of [
    /^FIELD +VALUE$/m,
    /^client_id +web$/m,
    /^public +false$/m,
    /^token_endpoint_auth_methods +client_secret_basic client_secret_post$/m,
    /^secrets +2$/m,
    /^jwks +-$/m,
    /^jwks_uri +-$/m,
    /^grant_types +password refresh_token$/m,
    /^scope +read write$/m,
    /^audience +urn:a urn:b$/m,
    /^access_token_ttl +300\b/m,
    /^refresh_idle_ttl +-$/m,
    /^refresh_absolute_ttl +-$/m,
    /^disabled_at +-$/m,
  ]) {
    t.regex(shown, line)
  }
  t.notRegex(shown, /\b(?:new|old)\b/)
  t.true((await cli(['client', 'show', 'worker'])).stdout.includes(key.kid!))
  t.regex(
    (await cli(['client', 'list'])).stdout,
    /^CLIENT +TYPE +GRANTS +SCOPE +DISABLED\nphone +public +.*\nweb +confidential +.*\nworker +confidential +client_credentials +read write +-\n$/,
  )
})

test('client show leaves no value blank and shows instants as dates', async t => {
  const { cli } = await startCliWithClients(t)
  await cli(['client', 'update', 'worker', '--scope', ''])
  const shown = (await cli(['client', 'show', 'worker'])).stdout
  for (const line of [/^scope +-$/m, /^cors_origins +-$/m, /^created_at +1970-01-01T00:00:01Z$/m]) t.regex(shown, line)
})

/** A running server with the confidential client `web` and the client `worker`, which has keys. */
async function startServerWithClients(t: ExecutionContext) {
  const { environment, json, cli } = startCli(t)
  const key = await createClientKey()
  const keys = (of: ClientKey) => writeKeys(environment, 'jwks.json', { keys: [of.jwk] })
  const grants = ['--grant', 'client_credentials', '--scope', 'read']
  const { client_secret } = await json(['client', 'add', 'web', ...grants])
  await json(['client', 'add', 'worker', ...grants, '--jwks', keys(key)])
  // The issuer of the assertions of _client_keys.ts.
  const server = await startProcess(t, { ...environment, LATCHKEY_ISSUER: 'https://auth.example.com' })
  const grant = { grant_type: 'client_credentials' }
  return {
    json,
    cli,
    client_secret: client_secret as string,
    key,
    keys,
    /** The status by Basic and in the form. */
    async statuses(secret: string) {
      const body = new URLSearchParams(grant)
      const authorization = `Basic ${Buffer.from(`web:${secret}`).toString('base64')}`
      const basic = await fetch(`${server.url}/token`, { method: 'POST', body, headers: { authorization } })
      await basic.arrayBuffer()
      const form = await postForm(`${server.url}/token`, { ...grant, client_id: 'web', client_secret: secret })
      return [basic.status, form.status]
    },
    async statusBy(key: ClientKey) {
      const now = Math.floor(Date.now() / 1000)
      const assertion = await signAssertion(key, 'worker', { iat: now, exp: now + 60 })
      return (await postForm(`${server.url}/token`, { ...grant, ...withAssertion(assertion) })).status
    },
  }
}

const both = [200, 200]
const neither = [401, 400]

test('rotate-secret keeps the secret before alive at the running server until drop-old-secret', async t => {
  const { json, cli, client_secret: first, statuses } = await startServerWithClients(t)
  t.deepEqual(await statuses(first), both)

  const { client_secret: second, ...shown } = await json(['client', 'rotate-secret', 'web'])
  t.is(shown.secrets, 2)
  t.deepEqual([await statuses(first), await statuses(second)], [both, both])

  const third = 'given by the operator'
  const given = await json(['client', 'rotate-secret', 'web', '--secret-stdin'], `${third}\n`)
  t.is(given.secrets, 2)
  t.false('client_secret' in given)
  t.deepEqual([await statuses(first), await statuses(second), await statuses(third)], [neither, both, both])

  t.is((await json(['client', 'drop-old-secret', 'web'])).secrets, 1)
  t.deepEqual([await statuses(second), await statuses(third)], [neither, both])
  t.deepEqual(await cli(['client', 'drop-old-secret', 'web']), {
    code: 0,
    stdout: 'web has no old secret\n',
    stderr: '',
  })
  t.deepEqual(await statuses(third), both)
})

test('rotate-secret --now ends every secret before at the running server', async t => {
  const { json, cli, client_secret: first, statuses } = await startServerWithClients(t)
  const { client_secret: second } = await json(['client', 'rotate-secret', 'web'])

  const { stdout } = await cli(['client', 'rotate-secret', 'web', '--now'])
  const [, third = ''] =
    /^replaced the secret of web\nits secret, which is not shown again: (\S+)\n$/.exec(stdout) ?? []

  t.deepEqual([await statuses(first), await statuses(second), await statuses(third)], [neither, neither, both])
  for (const args of [['show', 'web'], ['list'], ['drop-old-secret', 'web'], ['update', 'web', '--scope', 'read']]) {
    for (const format of [[], ['--json']]) {
      const shown = (await cli(['client', ...args, ...format])).stdout
      t.false(
        [first, second, third].some(secret => shown.includes(secret)),
        args.join(' '),
      )
    }
  }
})

test('client update takes effect at the running server at once: keys, methods, lifetimes', async t => {
  const { json, key, keys, statusBy, statuses, client_secret } = await startServerWithClients(t)
  const next = await createClientKey()
  t.deepEqual([await statusBy(key), await statusBy(next)], [200, 400])

  await json(['client', 'update', 'worker', '--jwks', keys(next)])
  t.deepEqual([await statusBy(key), await statusBy(next)], [400, 200])

  await json(['client', 'update', 'web', '--auth-method', 'client_secret_post'])
  t.deepEqual(await statuses(client_secret), [401, 200])
  await json(['client', 'update', 'web', '--auth-method', 'client_secret_basic'])
  t.deepEqual(await statuses(client_secret), [200, 400])
})

test('client disable, enable and remove take effect at the running server at once', async t => {
  const { json, environment, cli } = startCli(t)
  await json(['user', 'add', 'alice', '--password-stdin'], 'a good password')
  await json(['client', 'add', 'phone', '--public', '--grant', 'password', '--grant', 'refresh_token'])
  const { url } = await startProcess(t, environment)
  const signIn = () =>
    postForm(`${url}/token`, {
      grant_type: 'password',
      client_id: 'phone',
      username: 'alice',
      password: 'a good password',
    })

  t.is((await signIn()).status, 200)
  await json(['client', 'disable', 'phone'])
  t.is((await signIn()).status, 400)
  await json(['client', 'enable', 'phone'])
  t.is((await signIn()).status, 200)
  t.is((await json(['session', 'list', '--client', 'phone'])).length, 2)
  await json(['client', 'remove', 'phone'])
  t.is((await signIn()).status, 400)
  t.deepEqual(await json(['session', 'list']), [])
  t.is((await cli(['client', 'show', 'phone'])).code, 1)
})

test('session list and revoke: one, those of a user, all', async t => {
  const { json, environment, cli } = startCli(t)
  await json(['client', 'add', 'phone', '--public', '--grant', 'password', '--grant', 'refresh_token'])
  for (const name of ['alice', 'bob']) await json(['user', 'add', name, '--password-stdin'], 'a good password')
  const { url } = await startProcess(t, environment)
  for (const username of ['alice', 'alice', 'bob', 'bob']) {
    await postForm(`${url}/token`, {
      grant_type: 'password',
      client_id: 'phone',
      username,
      password: 'a good password',
      device: `${username}'s phone`,
    })
  }

  const [session] = await json(['session', 'list', '--user', 'alice'])
  t.like(session, { client_id: 'phone', device: "alice's phone", ip: '127.0.0.1' })
  t.deepEqual(await json(['session', 'revoke', session.id]), { revoked: 1 })
  t.deepEqual(await cli(['session', 'revoke', session.id]), {
    code: 1,
    stdout: '',
    stderr: `latchkey: there is no live session ${session.id}\n`,
  })
  t.deepEqual(await json(['session', 'revoke', '--user', 'bob']), { revoked: 2 })
  t.is((await json(['session', 'list'])).length, 1)
  t.deepEqual(await json(['session', 'revoke', '--all']), { revoked: 1 })
  const [{ detail }] = await json(['audit', '--type', 'session.revoked'])
  t.regex(detail, /^operator \S+: revoked_by_operator: 1$/)
  t.regex((await cli(['session', 'list'])).stdout, /^SESSION +USER +CLIENT/)
})

test('session revoke takes an id that begins like an option, and no option that there is not', async t => {
  const { json, cli, environment } = startCli(t)
  await json(['client', 'add', 'phone', '--public', '--grant', 'password'])
  await json(['user', 'add', 'alice', '--password-stdin'], 'a good password')
  const [{ id: userId }] = await json(['user', 'list'])
  const ids = ['-jAAAAAAAAAAAAAAAAAAAA', '--AAAAAAAAAAAAAAAAAAAA', '-hAAAAAAAAAAAAAAAAAAAA']
  const { storage } = openSqliteStorage(environment.LATCHKEY_DATABASE_URL!.slice('file:'.length))
  const policy = { idleLifetime: 10_000, absoluteLifetime: 10_000 }
  const now = Math.floor(Date.now() / 1000)
  for (const id of ids) {
    const who = { id, userId, clientId: 'phone', scope: '', audience: [], amr: ['pwd'] }
    const session = createSession({ ...who, device: undefined, ip: undefined, userAgent: undefined }, now, policy)
    await storage.createSession(session, { version: 1 }, auditEvent('session.created', now, {}))
  }
  await storage.close()

  for (const id of ids) t.deepEqual(await json(['session', 'revoke', id]), { revoked: 1 }, id)
  for (const option of ['--al', '--every', '-x']) {
    const { code, stderr } = await cli(['session', 'revoke', option])
    t.is(code, 2, option)
    t.regex(stderr, new RegExp(`unknown option .?${option}`))
  }
})

test('key rotate publishes a key 330 seconds before it signs; the running server serves both', async t => {
  const { json, environment } = startCli(t)
  const server = await startProcess(t, environment)
  const [first] = await json(['key', 'list'])
  t.is(first.state, 'signing')

  const added = await json(['key', 'rotate'])

  t.is(added.state, 'published')
  t.is(added.signs_at - added.created_at, 330)
  // The server made the first one by itself.
  const details = (await json(['audit', '--type', 'key.created'])).map((one: { detail: string }) => one.detail)
  t.is(details[1], `ES256 ${first.kid}`)
  t.regex(details[0], new RegExp(`^operator \\S+: ES256 ${added.kid}$`))
  t.deepEqual(
    (await json(['key', 'list'])).map((key: { state: string }) => key.state),
    ['signing', 'published'],
  )
  // Keys are looked up every ten seconds: poll, do not guess.
  const kids = async () => {
    const set = (await (await fetch(`${server.url}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] }
    return set.keys.map(({ kid }) => kid)
  }
  while ((await kids()).length < 2) await new Promise(resolve => setTimeout(resolve, 250))
  t.deepEqual(await kids(), [first.kid, added.kid])
})

test("the FastAPI tutorial's users come in with their bcrypt hashes, sign in and become argon2id", async t => {
  const { json, environment } = startCli(t)
  const hash = async (password: string, prefix: string) => (await bcrypt.hash(password, 4)).replace('$2b$', prefix)
  const users = {
    johndoe: {
      username: 'johndoe',
      full_name: 'John Doe',
      email: 'johndoe@example.com',
      hashed_password: await hash('secret', '$2b$'),
      disabled: false,
    },
    alice: {
      username: 'alice',
      full_name: 'Alice Wonderson',
      email: 'alice@example.com',
      hashed_password: await hash('secret2', '$2y$'),
      disabled: true,
    },
  }
  const file = join(environment.HOME!, 'users.json')
  writeFileSync(file, JSON.stringify(users))
  await json(['client', 'add', 'app', '--public', '--grant', 'password'])

  t.deepEqual(await json(['user', 'import', file]), { ...imported(2), disabled: 1 })

  const { url } = await startProcess(t, environment)
  const signIn = (username: string, password: string) =>
    postForm(`${url}/token`, { grant_type: 'password', client_id: 'app', username, password })
  t.is((await signIn('johndoe', 'wrong')).status, 400)
  t.is((await signIn('johndoe', 'secret')).status, 200)
  t.is((await signIn('johndoe', 'secret')).status, 200)
  t.is((await signIn('alice', 'secret2')).status, 400)
  const database = environment.LATCHKEY_DATABASE_URL!.slice('file:'.length)
  t.true([database, `${database}-wal`].some(file => readFileSync(file, 'latin1').includes('$argon2id$')))
})

test('an import with a bad entry or a taken name imports nothing and says why; a dry run says it of every line', async t => {
  const { json, cli, environment } = startCli(t)
  const file = join(environment.HOME!, 'users.csv')
  const hash = await bcrypt.hash('secret', 4)
  const write = (...lines: string[]) => writeFileSync(file, ['username,hashed_password,shoe size', ...lines].join('\n'))
  const problem =
    'line 3: hashed_password: is no password hash of a kind that can be verified here: docs/import.md lists them'
  const ignored = 'not imported, since they mean nothing here: shoe size'

  write(`alice,${hash},38`, 'bob,md5:abcdef,45')
  t.deepEqual(await cli(['user', 'import', file]), {
    code: 1,
    stdout: '',
    stderr: `latchkey: nothing was imported:\nlatchkey: ${problem}\n`,
  })
  t.deepEqual(await cli(['user', 'import', file, '--dry-run']), {
    code: 1,
    stdout: `1 user could be imported, but for these:\n${problem}\n${ignored}\n`,
    stderr: '',
  })
  t.deepEqual(await json(['user', 'list']), [])

  write(`alice,${hash},38`)
  t.deepEqual(await json(['user', 'import', file, '--dry-run']), {
    importable: 1,
    problems: [],
    ...report,
    ignored: ['shoe size'],
  })
  t.deepEqual(await json(['user', 'list']), [])
  t.deepEqual(await cli(['user', 'import', file]), { code: 0, stdout: `imported 1 user\n${ignored}\n`, stderr: '' })

  write(`ALICE,${hash},38`, `carol,${hash},38`, `Carol,${hash},38`)
  const taken = 'username: is taken, by a user who exists or one before in the file'
  t.is(
    (await cli(['user', 'import', file])).stderr,
    `latchkey: nothing was imported:\nlatchkey: line 2: ${taken}\nlatchkey: line 4: ${taken}\n`,
  )
})

test('an import of an id that is taken says so, and not that the name is', async t => {
  const { json, cli, environment } = startCli(t)
  const file = join(environment.HOME!, 'users')
  const hashed_password = await bcrypt.hash('secret', 4)
  const line = (username: string, last: string) =>
    `${JSON.stringify({ username, hashed_password, id: `usr_${'A'.repeat(20)}${last}A` })}\n`
  writeFileSync(file, line('alice', 'a'))
  t.is((await json(['user', 'import', file])).imported, 1)

  writeFileSync(file, line('bob', 'a') + line('carol', 'b') + line('dave', 'b'))
  const taken = 'id: is taken, by a user who exists or one before in the file'
  t.is(
    (await cli(['user', 'import', file])).stderr,
    `latchkey: nothing was imported:\nlatchkey: line 1: ${taken}\nlatchkey: line 3: ${taken}\n`,
  )

  writeFileSync(file, line('bob', 'c') + line('carol', 'b') + line('dave', 'd'))
  t.is((await json(['user', 'import', file])).imported, 3)
})

test('an import of a file that is not UTF-8 is refused: names would come in mutilated', async t => {
  const { json, cli, environment } = startCli(t)
  const file = join(environment.HOME!, 'users')
  const text = `${JSON.stringify({ username: 'Zo\u00eb', hashed_password: await bcrypt.hash('secret', 4) })}\n`

  for (const encoding of ['latin1', 'utf16le'] as const) {
    writeFileSync(file, text, encoding)
    t.deepEqual(await cli(['user', 'import', file]), {
      code: 1,
      stdout: '',
      stderr: `latchkey: cannot read ${file}: it is not UTF-8\n`,
    })
  }

  writeFileSync(file, text)
  t.is((await json(['user', 'import', file])).imported, 1)
})

test('a long list of problems is cut short, and the dry run has all of it', async t => {
  const { cli, environment } = startCli(t)
  const file = join(environment.HOME!, 'users.json')
  writeFileSync(file, JSON.stringify(Array.from({ length: 30 }, () => ({ created_at: 'x' }))))
  const { stderr } = await cli(['user', 'import', file])
  t.is(stderr.trimEnd().split('\n').length, 22)
  t.true(stderr.endsWith('\nlatchkey: and 40 more: --dry-run shows all\n'))
  t.is((await cli(['user', 'import', file, '--dry-run'])).stdout.trimEnd().split('\n').length, 61)
})

test('what user export prints, user import takes in another database: the same users, with the same passwords', async t => {
  const [from, to] = [startCli(t), startCli(t)]
  const file = join(from.environment.HOME!, 'users')
  const entries = Array.from({ length: 2345 }, (_, i) => ({
    username: `user ${i}`,
    hashed_password: '$argon2i$v=19$m=64,t=2,p=1$4Fl5LJlIuFqlGCMHQHjt0g$zdH1n4x398l/1bDx3mDQGfu1EOOXM7xe9ERn7aCF0qc',
    full_name: i % 2 ? null : 'Ünal "U"\n',
    disabled: i % 3 === 0,
  }))
  writeFileSync(file, JSON.stringify(entries))
  await from.json(['user', 'import', file])

  const exported = await from.cli(['user', 'export'])
  t.is(exported.stderr, '')
  writeFileSync(file, exported.stdout)
  t.deepEqual(await to.json(['user', 'import', file]), { ...imported(2345), disabled: 782 })

  t.deepEqual(await to.json(['user', 'list']), await from.json(['user', 'list']))
  t.is((await to.cli(['user', 'export'])).stdout, exported.stdout)
  t.like((await from.json(['audit', '--type', 'user.exported']))[0], { type: 'user.exported' })

  await to.json(['client', 'add', 'app', '--public', '--grant', 'password'])
  const { url } = await startProcess(t, to.environment)
  const form = {
    grant_type: 'password',
    client_id: 'app',
    username: 'user 1',
    password: 'correct horse battery staple',
  }
  t.is((await postForm(`${url}/token`, form)).status, 200)
  t.regex((await to.cli(['user', 'export'])).stdout, /"user 1","hashed_password":"\$argon2id\$/)
})

for (const command of ['audit --limit 1000', 'audit --limit 1000 --json', 'user export', 'user list --json']) {
  test(`${command} | head ends without a word when head has seen enough`, async t => {
    const { json, environment } = startCli(t)
    const file = join(environment.HOME!, 'users')
    const hashed_password = await bcrypt.hash('secret', 4)
    // More than the 64 KiB that a pipe holds.
    const users = Array.from({ length: 600 }, (_, i) => ({ username: `${i}${'x'.repeat(100)}`, hashed_password }))
    writeFileSync(file, JSON.stringify(users))
    await json(['user', 'import', file])

    const line = `"${process.execPath}" "${launcher}" ${command} | head -c 4`
    const { code, stdout, stderr } = await run('sh', ['-c', line], environment)

    t.deepEqual([code, stdout.length, stderr], [0, 4, ''])
  })
}

test('migrate makes the database and says what it did, to which', async t => {
  const folder = createFolder(t)
  const environment = deployment(folder)
  const migrate = async () => JSON.parse((await runCommand(['migrate', '--json'], environment)).stdout)
  const database = `file:${join(folder, 'data/latchkey.db')}`
  const made = await migrate()
  t.true(made.migrated > 0)
  t.deepEqual(made, { database, migrated: made.migrated, copy: null })
  t.deepEqual(await migrate(), { database, migrated: 0, copy: null })
  t.is((await runCommand(['migrate'], environment)).stdout, `${database}: up to date\n`)
})

test('only serve and migrate make a database: every other command refuses one that is not there, by its whole path', async t => {
  const folder = createFolder(t)
  const environment = { ...deployment(folder), LATCHKEY_DATABASE_URL: 'file:none/latchkey.db' }
  const commands: readonly (readonly [args: readonly string[], stdin?: string])[] = [
    [['backup', join(folder, 'x.db')]],
    [['user', 'add', 'alice', '--password-stdin'], 'a good password'],
    [['user', 'list']],
    [['user', 'export']],
    [['client', 'add', 'app', '--public', '--grant', 'password']],
    [['client', 'list']],
    [['session', 'revoke', '--all']],
    [['key', 'rotate']],
    [['secret', 'rotate']],
    [['audit']],
    [['migrate-to', 'postgres://latchkey@127.0.0.1:1/latchkey']],
  ]
  for (const [args, stdin] of commands) {
    t.deepEqual(
      await runCommand(args, environment, stdin),
      {
        code: 1,
        stdout: '',
        stderr: `latchkey: there is no database ${join(root, 'none/latchkey.db')}; start the server once, run latchkey migrate, or set LATCHKEY_DATABASE_URL\n`,
      },
      args.join(' '),
    )
  }
  const doctor = await runCommand(['doctor', '--json'], environment)
  t.is(doctor.code, 1)
  t.is(JSON.parse(doctor.stdout).findings[0].found, `there is no ${join(root, 'none/latchkey.db')}`)
  t.deepEqual(readdirSync(folder), [])
  t.false(existsSync(join(root, 'none')))
})
