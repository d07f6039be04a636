/** What users do after an import: with a password or without one, and with hashes that know less than all of a password. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import bcrypt from 'bcrypt'
import { auditEvent } from '../../src/audit/audit.ts'
import { createPasswords, type Passwords } from '../../src/users/password.ts'
import { createFolder, deployment, postForm, runCommand, startProcess } from '../_process.ts'
import { cheapHashing, createTestRandom, password, refusal, refused, startServer, startTime } from '../_server.ts'

const bcryptHash = bcrypt.hashSync(password, 4)

/** A deployment with the client `app`. */
async function deploy(t: ExecutionContext) {
  const folder = createFolder(t)
  const environment = deployment(folder)
  const file = join(folder, 'users')
  await runCommand(['migrate'], environment)
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password'], environment)
  return {
    environment,
    file,
    cli: (...args: string[]) => runCommand(args, environment),
    json: async (...args: string[]) => JSON.parse((await runCommand([...args, '--json'], environment)).stdout),
    importText(text: string, ...args: string[]) {
      writeFileSync(file, text)
      return runCommand(['user', 'import', file, ...args], environment)
    },
  }
}

const signInAs = (url: string, username: string, password: string) =>
  postForm(`${url}/token`, { grant_type: 'password', client_id: 'app', username, password })

test('users without a password come in unable to sign in by password, are counted, and get one later', async t => {
  const { environment, cli, json, importText } = await deploy(t)
  const entries = [
    { username: 'null', password: null },
    { username: 'empty', password: '' },
    { username: 'missing' },
    // Django's set_unusable_password().
    { username: 'django', password: '!E0FnLkjMoxMLuqMMD3WH2czgjydKgLRBYLgrg1H4' },
    { username: 'star', password: '*' },
    { username: 'alice', password: bcryptHash },
  ]
  const { code, stdout } = await importText(JSON.stringify(entries))
  t.deepEqual([code, stdout], [0, 'imported 6 users\nwithout a password: 5 users, see user password\n'])
  t.deepEqual(
    (await json('user', 'list')).map(({ username, has_password }: Record<string, unknown>) => [username, has_password]),
    [
      ['alice', true],
      ['django', false],
      ['empty', false],
      ['missing', false],
      ['null', false],
      ['star', false],
    ],
  )
  t.regex((await cli('user', 'list')).stdout, /\nmissing +usr_\S+ +- +- +- +none +-\n/)
  t.regex((await cli('user', 'show', 'missing')).stdout, /\nhas_password +false\n/)
  t.regex((await cli('user', 'export')).stdout, /"username":"missing","hashed_password":null/)

  const { url } = await startProcess(t, environment)
  t.is((await signInAs(url, 'alice', password)).status, 200)
  const unknown = await signInAs(url, 'nobody', password)
  t.is(unknown.status, 400)
  for (const { username, password: hash } of entries.slice(0, 5))
    for (const guess of [password, '!', hash ?? 'x']) t.deepEqual(await signInAs(url, username, guess || ' '), unknown)

  await runCommand(['user', 'password', 'missing', '--password-stdin'], environment, 'a good password')
  t.is((await signInAs(url, 'missing', 'a good password')).status, 200)
})

test('promise 7: a user without a password costs a hash like any other, and answers like a wrong password', async t => {
  const real = await createPasswords(cheapHashing, createTestRandom())
  const hashesUnderWay: number[] = []
  const verify: Passwords['verify'] = (...given) => {
    const verified = real.verify(...given)
    hashesUnderWay.push(real.load().running)
    return verified
  }
  const server = await startServer(t, { passwords: { ...real, verify } })
  await server.addClient()
  const bob = { id: 'usr_AAECAwQFBgcICQoLDA0ODw', username: 'bob', credentialVersion: 1, createdAt: startTime }
  await server.deps.storage.createUsers([bob], auditEvent('user.created', startTime, {}))

  const answer = await server.token({ grant_type: 'password', client_id: 'app', username: 'bob', password: 'x' })

  t.deepEqual(hashesUnderWay, [1])
  t.deepEqual(refusal(answer), refused(400, 'invalid_grant'))
  t.is((await server.deps.storage.findUser(bob.id))?.passwordHash, undefined)
})

test('what export prints of users without a password, import takes', async t => {
  const [from, to] = [await deploy(t), await deploy(t)]
  await from.importText(JSON.stringify([{ username: 'bob' }, { username: 'alice', password: bcryptHash }]))
  const { stdout } = await from.cli('user', 'export')
  t.is((await to.importText(stdout)).code, 0)
  t.is((await to.cli('user', 'export')).stdout, stdout)
})

test('a member that may be the hash under another name refuses the line: the users would come in without a password', async t => {
  const { importText } = await deploy(t)
  const entry = { username: 'alice', pass_hash: bcryptHash }
  const { code, stderr } = await importText(JSON.stringify([entry]))
  t.is(code, 1)
  t.regex(
    stderr,
    /entry 1: pass_hash: may be the password hash; call it hashed_password, or leave it out with --ignore/,
  )
  t.false(stderr.includes(bcryptHash))
  const left = await importText(JSON.stringify([entry]), '--ignore', 'pass_hash')
  t.deepEqual([left.code, left.stdout.split('\n')[1]], [0, 'without a password: 1 user, see user password'])
})

test('user import - reads stdin', async t => {
  const { environment, json } = await deploy(t)
  const text = `username,hashed_password\nalice,${bcryptHash}\n`
  t.is((await runCommand(['user', 'import', '-'], environment, text)).code, 0)
  t.is((await json('user', 'list')).length, 1)
})

test('times, nulls and flags come in as PostgreSQL and MySQL write them in CSV', async t => {
  const { json, importText } = await deploy(t)
  const lines = [
    'username,hashed_password,email,full_name,disabled,created_at',
    `postgres,${bcryptHash},\\N,\\N,f,2024-05-01 10:20:30.123456+00`,
    `zone,${bcryptHash},,,f,2024-05-01 12:20:30+02`,
    `half,${bcryptHash},,,f,2024-05-01 15:50:30.5+0530`,
    `mysql,${bcryptHash},NULL,NULL,0,2024-05-01 10:20:30`,
    `iso,${bcryptHash},,,false,2024-05-01T10:20:30.999Z`,
    `seconds,${bcryptHash},,,false,1714558830`,
  ]
  t.is((await importText(lines.join('\n'))).code, 0)
  for (const user of await json('user', 'list')) {
    t.like(user, { created_at: 1_714_558_830, email: null, full_name: null, disabled_at: null, has_password: true })
  }

  const bad = ['2024-02-31 00:00:00', '2024-05-01 25:00:00', '01/05/2024', '1714558830123', '-infinity']
  const { stderr } = await importText(
    [lines[0], ...bad.map((text, i) => `bad${i},${bcryptHash},,,f,${text}`)].join('\n'),
  )
  t.is(stderr.match(/created_at: is not/g)?.length, bad.length, stderr)
})

test('a hash that would cost too much at every sign-in is refused with what it costs; a cheaper one is taken', async t => {
  const { importText } = await deploy(t)
  const argon2 = (costs: string) => `$argon2id$v=19$${costs}$${'A'.repeat(22)}$${'A'.repeat(43)}`
  const entry = (username: string, costs: string) => ({ username, hashed_password: argon2(costs) })
  const dear = [entry('alice', 'm=8,t=2,p=1'), entry('bob', 'm=262144,t=99,p=1'), entry('carol', 'm=262145,t=1,p=1')]

  const { code, stdout, stderr } = await importText(JSON.stringify(dear))

  t.deepEqual([code, stdout], [1, ''])
  const [, bob, carol] = stderr.split('\n')
  const costs = 'hashed_password: costs more than one sign-in may:'
  t.regex(bob ?? '', new RegExp(`entry 2: ${costs} about [\\d.]+ s on this machine, and the limit is 2 s$`))
  t.regex(carol ?? '', new RegExp(`entry 3: ${costs} 257 MiB of memory, and the limit is 256 MiB$`))
  t.is((await importText(JSON.stringify([dear[0], entry('bob', 'm=64,t=2,p=1')]))).code, 0)
})

/** 71 bytes, which bcrypt reads all of; three more, of which it reads one. */
const short = 'x'.repeat(71)
const long = `${short}abc`

for (const [what, typed, replaces] of [
  ['a password of 71 bytes', short, true],
  ['what bcrypt reads of a longer password and a typo behind it', `${short}azz`, false],
  ['the first 72 bytes of a longer password', `${short}a`, false],
  ['a longer password as it is', long, false],
] as const) {
  test(`bcrypt reads 72 bytes: ${what} ${replaces ? 'becomes' : 'does not become'} the argon2id hash (CWE-521)`, async t => {
    const server = await startServer(t)
    await server.addClient()
    const passwordHash = await bcrypt.hash(replaces ? short : long, 4)
    const id = await server.addUser({ passwordHash })
    await server.signIn({ password: typed })
    const stored = (await server.deps.storage.findUser(id))?.passwordHash
    if (replaces) t.regex(stored ?? '', /^\$argon2id\$/)
    else t.is(stored, passwordHash)
    // The real password goes on.
    await server.signIn({ password: replaces ? short : long })
  })
}

test('the form that was typed counts: a password that is short enough only in NFC replaces nothing', async t => {
  const server = await startServer(t)
  await server.addClient()
  // Each letter has 2 bytes in NFC and 3 in NFD.
  const nfc = '\u00e9'.repeat(30)
  const passwordHash = await bcrypt.hash(nfc.normalize('NFD'), 4)
  const id = await server.addUser({ passwordHash })
  await server.signIn({ password: `${nfc.normalize('NFD')}x` })
  t.is((await server.deps.storage.findUser(id))?.passwordHash, passwordHash)
})

test('isExact: what truncates, pads or trims says of which passwords it knows all', async t => {
  const passwords = await createPasswords(cheapHashing, createTestRandom())
  const django = 'pbkdf2_sha256$2000$seasalt2$wxn68846qjDWD4qkn/0owVuveynrPhmySXSuVzeQu00='
  const wordpress = '$wp$2y$04$wJSS4rtLczPdfvvb.8coVeQyP6P9RBS9sz8MjKge9hMjNuRrvJ4AW'
  const djangoBcrypt = 'bcrypt_sha256$$2b$04$wa9uiy8uaFflAN3dhhcNkOObuMfNgaFrjFx1GvCIHBM3zfgEQJ2aC'
  for (const [hash, typed, isExact] of [
    [await passwords.hash(password), long, true],
    [bcryptHash, short, true],
    [bcryptHash, `${short}a`, false],
    [bcryptHash, 'a\0a', false],
    [djangoBcrypt, long, true],
    [django, long, true],
    [django, 'a\0', false],
    [wordpress, long, true],
    [wordpress, 'blank behind ', false],
  ] as const) {
    t.is(passwords.isExact(hash, typed), isExact, `${hash} ${typed}`)
  }
})
