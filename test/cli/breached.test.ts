/** `latchkey breached`, and what refuses passwords by its filter: commands, the API, the page; and files that cannot be used. */
import { createHash } from 'node:crypto'
import { closeSync, copyFileSync, openSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { formatHeader, readHeader } from '../../src/breached/filter.ts'
import { openBreachedPasswords } from '../../src/breached_passwords.ts'
import { createPasswords } from '../../src/users/password.ts'
import { createFolder, migratedDeployment, runCli, runCommand, startProcess } from '../_process.ts'
import { cheapHashing, createTestRandom, password, startServerWithAlice } from '../_server.ts'

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex').toUpperCase()
const breached = 'seven lamps over the harbour'
const good = 'eight lamps over the harbour'

/** A folder with a filter of two passwords, made by the real command. */
async function createFilter(t: ExecutionContext) {
  const folder = createFolder(t)
  const [list, filter] = [join(folder, 'list.txt'), join(folder, 'breached.filter')]
  writeFileSync(list, `${sha1(breached)}:12\r\n${sha1('seldom seen')}:2\r\n`)
  const environment = migratedDeployment(folder)
  const built = await runCommand(['breached', 'build', list, filter, '--json'], environment)
  return { folder, list, filter, environment, built }
}

test('breached build and check: the filter is made of the list, and says what is in it by its exit code', async t => {
  const { list, filter, environment, built } = await createFilter(t)
  t.deepEqual([built.code, built.stderr], [0, ''])
  t.deepEqual(JSON.parse(built.stdout), {
    file: filter,
    count: 2,
    min_count: 1,
    bytes: statSync(filter).size,
    false_positives: 1 / 1024,
    missing_ranges: 0,
  })
  const check = (text: string) => runCommand(['breached', 'check', filter, '--password-stdin'], environment, text)
  t.deepEqual(await check(`${breached}\n`), { code: 1, stdout: 'it has appeared in data breaches\n', stderr: '' })
  t.deepEqual(await check(good), { code: 0, stdout: 'it is not among the breached ones\n', stderr: '' })
  t.is((await check('seldom seen')).code, 1)

  const often = await runCommand(['breached', 'build', '--min-count', '10', list, filter], environment)
  t.deepEqual(often, {
    code: 0,
    stdout: `${filter}: 1 hashes in 0.0 MB; of other passwords one in 1,024 is refused as well\n`,
    stderr: '',
  })
  t.is((await check('seldom seen')).code, 0)
  t.is((await check(breached)).code, 1)
})

test('breached build says what it is short of: no list, a count that is none, a list that is broken, a file that is no filter', async t => {
  const { folder, list, filter, environment } = await createFilter(t)
  const build = (...args: string[]) => runCommand(['breached', 'build', ...args], environment)
  t.like(await build(filter), { code: 2, stderr: 'latchkey: name at least one list, and last the file to write\n' })
  t.like(await build('--min-count', '0', list, filter), { code: 2 })
  t.like(await build(list, list), {
    code: 1,
    stderr: `latchkey: ${list} exists and is no filter: the file to write comes last\n`,
  })
  writeFileSync(list, `${'8846F7EAEE8FB117AD06BDD830B7586C'}:3\n`)
  t.like(await build(list, filter), {
    code: 1,
    stderr: `latchkey: ${list}, line 1, has an NTLM hash: download the list of SHA-1 hashes\n`,
  })
  t.deepEqual(readdirSync(folder).toSorted(), ['breached.filter', 'data', 'list.txt'])
})

test('user add and user password refuse a breached password and say why; every command that needs no password goes on without the file', async t => {
  const { filter, environment } = await createFilter(t)
  const env = { ...environment, LATCHKEY_BREACHED_PASSWORDS: filter }
  const refusal = {
    code: 2,
    stdout: '',
    stderr: 'latchkey: the password has appeared in data breaches, and those are tried first\n',
  }
  t.deepEqual(await runCommand(['user', 'add', 'alice', '--password-stdin'], env, breached), refusal)
  t.is((await runCommand(['user', 'add', 'alice', '--password-stdin'], env, good)).code, 0)
  t.deepEqual(await runCommand(['user', 'password', 'alice', '--password-stdin'], env, breached), refusal)
  t.is((await runCommand(['user', 'password', 'alice', '--password-stdin'], environment, breached)).code, 0)
  rmSync(filter)
  t.is((await runCommand(['user', 'list'], env)).code, 0)
  t.deepEqual(await runCommand(['user', 'password', 'alice', '--password-stdin'], env, good), {
    code: 78,
    stdout: '',
    stderr: `latchkey: LATCHKEY_BREACHED_PASSWORDS: ${filter} does not exist\n`,
  })
})

test('a start with a filter that is missing, cut short or of a newer version ends with 78 and one line; with a whole one it says how many', async t => {
  const { folder, filter, environment } = await createFilter(t)
  const other = join(folder, 'other.filter')
  const env = { ...environment, LATCHKEY_BREACHED_PASSWORDS: other }
  const refused = (problem: string) => ({
    code: 78,
    stdout: '',
    stderr: `latchkey: LATCHKEY_BREACHED_PASSWORDS: ${other} ${problem}\n`,
  })
  t.deepEqual(await runCli(['serve'], env), refused('does not exist'))
  const newer = formatHeader(readHeader(filter))
  newer[19] = 2
  for (const [bytes, problem] of [
    ['a list', 'is none that latchkey breached build has written'],
    [newer, 'is of a newer latchkey: build it again with this one'],
  ] as const) {
    writeFileSync(other, bytes)
    t.deepEqual(await runCli(['serve'], env), refused(problem))
  }
  copyFileSync(filter, other)
  const server = await startProcess(t, env)
  t.like(
    server.log.find(({ msg }) => msg === 'breached passwords are refused'),
    { file: other, count: 2 },
  )
})

test('a breached password is refused at PUT /users/me/password and never at a sign-in; a new file counts at once, and one that is gone is 503', async t => {
  const { folder, filter, list, environment } = await createFilter(t)
  const isBreached = openBreachedPasswords({ breachedPasswords: filter })
  const passwords = await createPasswords(cheapHashing, createTestRandom(), isBreached)
  const server = await startServerWithAlice(t, { passwords })
  await server.addUser({ username: 'bob', passwordHash: await passwords.hash(breached) })
  const change = async (next: string) => {
    const { access_token } = await server.signIn()
    return server.request('/users/me/password', {
      method: 'PUT',
      headers: server.bearer(access_token),
      body: new URLSearchParams({ current_password: password, new_password: next }),
    })
  }
  const { status, body } = await change(breached)
  t.deepEqual(
    [status, body],
    [
      400,
      {
        error: 'invalid_request',
        error_description: 'the password has appeared in data breaches, and those are tried first',
      },
    ],
  )
  t.truthy((await server.signIn({ username: 'bob', password: breached })).access_token)

  writeFileSync(list, `${sha1(good)}:1\n`)
  t.is((await runCommand(['breached', 'build', list, filter], environment)).code, 0)
  t.is((await change(good)).status, 400)
  rmSync(filter)
  t.is((await change(breached)).status, 503)
  copyFileSync(list, filter)
  t.is((await change(breached)).status, 503)
  writeFileSync(list, `${sha1('something else')}:1\n`)
  t.is((await runCommand(['breached', 'build', list, join(folder, 'new')], environment)).code, 0)
  copyFileSync(join(folder, 'new'), filter)
  t.is((await change(breached)).status, 200)
})

test('doctor reads all of the filter: how many and how old, and what to do where it is damaged or older than a year', async t => {
  const { filter, environment } = await createFilter(t)
  const env = { ...environment, LATCHKEY_BREACHED_PASSWORDS: filter }
  const findings = async (): Promise<{ check: string; state: string; found: string }[]> =>
    JSON.parse((await runCommand(['doctor', '--json'], env)).stdout).findings
  const found = async () => (await findings()).find(({ check }) => check === 'breached passwords')
  t.deepEqual(await found(), { check: 'breached passwords', state: 'ok', found: '2, built 0 days ago' } as never)
  const header = readHeader(filter)
  const write = (bytes: Buffer, at: number) => {
    const descriptor = openSync(filter, 'r+')
    writeSync(descriptor, bytes, 0, bytes.length, at)
    closeSync(descriptor)
  }
  write(formatHeader({ ...header, builtAt: header.builtAt - 400 * 86_400 }), 0)
  t.like(await found(), { state: 'warning', found: '2, built 400 days ago' })
  write(Buffer.from([0xff]), 65)
  t.like(await found(), { state: 'failed', found: `${filter} is damaged` })
})
