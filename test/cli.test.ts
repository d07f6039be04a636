/** `npx latchkey`, as scripts call it: one JSON document on stdout, exit codes 0, 1 and 2, secrets on stdin. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import bcrypt from 'bcrypt'
import { createFolder, deployment, postForm, runCli, startProcess } from './_process.ts'

/** A deployment without a server: each call is one `latchkey` command. */
function startCli(t: ExecutionContext) {
  const environment = deployment(createFolder(t), { LATCHKEY_BOOTSTRAP: 'off' })
  const cli = (args: readonly string[], stdin = '') => runCli(args, environment, stdin)
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

test('user add, show, list, disable, enable, password and remove', async t => {
  const { json, cli } = startCli(t)

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
    /^USERNAME +ID +EMAIL +NAME +DISABLED\nalice +usr_\S+ +alice@example.com +Alice +-\n$/,
  )
  t.deepEqual(await json(['user', 'remove', 'alice']), { removed: 'alice' })
  t.deepEqual(await json(['user', 'list']), [])
})

test('a user that is there or is not there is exit code 1 and one line', async t => {
  const { cli } = startCli(t)
  const add = () => cli(['user', 'add', 'alice', '--password-stdin'], 'a good password')
  t.is((await add()).code, 0)
  t.deepEqual(await add(), { code: 1, stdout: '', stderr: 'latchkey: the username alice is taken\n' })
  t.deepEqual(await cli(['user', 'remove', 'bob']), { code: 1, stdout: '', stderr: 'latchkey: there is no user bob\n' })
})

for (const [args, stdin, expected] of [
  [['user', 'add', 'alice'], '', /give it with --password-stdin, or run this at a terminal/],
  [['user', 'add', 'alice', '--password-stdin'], 'short', /at least 8 characters/],
  [['user', 'add', 'alice', '--password-stdin'], '', /nothing came on stdin/],
  [['user', 'add', ' alice', '--password-stdin'], 'a good password', /a username has/],
  [['user', 'add'], '', /missing required argument 'username'/],
  [['user', 'add', 'alice', '--password', 'x'], '', /unknown option '--password'/],
  [['usr'], '', /unknown command 'usr'.*\n.*Did you mean user/],
  [['client', 'add', 'web'], '', /name what the client may do with --grant/],
  [['client', 'add', 'web', '--grant', 'implicit'], '', /--grant implicit: there are password, refresh_token/],
  [['client', 'add', 'usr_web', '--grant', 'password'], '', /does not begin with usr_/],
  [['client', 'add', 'web', '--grant', 'password', '--scope', 'a"b'], '', /--scope takes scope tokens/],
  [['client', 'add', 'web', '--public', '--secret-stdin', '--grant', 'password'], 'x', /a public client has no secret/],
  [['session', 'revoke'], '', /say which/],
  [['session', 'revoke', 'x', '--all'], '', /say which/],
  [['session', 'list', '--limit', 'many'], '', /at least 1/],
] as const) {
  test(`usage: ${args.join(' ')} < ${JSON.stringify(stdin)} is exit code 2 and says what is expected`, async t => {
    const { code, stdout, stderr } = await startCli(t).cli(args, stdin)
    t.deepEqual([code, stdout], [2, ''])
    t.regex(stderr, expected)
  })
}

test('every command has --help, and all but serve take --json', async t => {
  const commands = [
    ['serve'],
    ['migrate'],
    ...['add', 'list', 'show', 'password', 'disable', 'enable', 'remove', 'import'].map(verb => ['user', verb]),
    ...['add', 'list', 'show', 'rotate-secret', 'disable', 'enable', 'remove'].map(verb => ['client', verb]),
    ...['list', 'revoke'].map(verb => ['session', verb]),
    ...['list', 'rotate'].map(verb => ['key', verb]),
  ]
  const { cli } = startCli(t)
  for (const command of commands) {
    const { code, stdout } = await cli([...command, '--help'])
    t.is(code, 0)
    t.regex(stdout, new RegExp(`^Usage: latchkey ${command.join(' ')} `))
    t.is(stdout.includes('--json'), command[0] !== 'serve', command.join(' '))
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
  t.is((await signIn()).status, 401)
  await json(['client', 'enable', 'phone'])
  t.is((await signIn()).status, 200)
  t.is((await json(['session', 'list', '--client', 'phone'])).length, 2)
  await json(['client', 'remove', 'phone'])
  t.is((await signIn()).status, 401)
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
  t.regex((await cli(['session', 'list'])).stdout, /^SESSION +USER +CLIENT/)
})

test('key rotate publishes a key 330 seconds before it signs; the running server serves both', async t => {
  const { json, environment } = startCli(t)
  const server = await startProcess(t, environment)
  const [first] = await json(['key', 'list'])
  t.is(first.state, 'signing')

  const added = await json(['key', 'rotate'])

  t.is(added.state, 'published')
  t.is(added.signs_at - added.created_at, 330)
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

  t.deepEqual(await json(['user', 'import', file]), { imported: 2 })

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

test('an import with a bad entry or a taken name imports nothing and says why', async t => {
  const { json, cli, environment } = startCli(t)
  const file = join(environment.HOME!, 'users.json')
  const good = { username: 'alice', hashed_password: await bcrypt.hash('secret', 4) }
  writeFileSync(file, JSON.stringify([good, { username: 'bob', hashed_password: 'md5:abcdef' }]))
  t.deepEqual(await cli(['user', 'import', file]), {
    code: 1,
    stdout: '',
    stderr: 'latchkey: nothing was imported:\nlatchkey: entry 2: hashed_password: is not a bcrypt or argon2id hash\n',
  })
  t.deepEqual(await json(['user', 'list']), [])

  writeFileSync(file, JSON.stringify([good]))
  t.deepEqual(await json(['user', 'import', file]), { imported: 1 })
  t.is(
    (await cli(['user', 'import', file])).stderr,
    'latchkey: nothing was imported: these usernames are taken: alice\n',
  )
})

test('migrate makes the database and says what it did', async t => {
  const { json } = startCli(t)
  t.true((await json(['migrate'])).migrated > 0)
  t.deepEqual(await json(['migrate']), { migrated: 0 })
})
