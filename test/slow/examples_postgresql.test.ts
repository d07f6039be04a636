/** The files of `examples/postgresql/`: with Debian's PostgreSQL and pgbouncer, and held to the settings that there are. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Client } from 'pg'
import { settings } from '../../src/config.ts'
import { type Postgres, startPgbouncer, startPrimary, testCluster, testPooled } from '../_cluster.ts'
import { account, clusterEnvironment, refresh, signIn } from '../_nodes.ts'
import { createFolder, type Environment, root, run, runCommand, startProcess } from '../_process.ts'

const folder = 'examples/postgresql'
const example = (name: string) => readFileSync(join(root, folder, name), 'utf8')

/** Makes the roles and the database of the example, under names of their own. @returns the URL of each role */
async function createRoles(t: ExecutionContext, { port }: Postgres) {
  const file = join(createFolder(t), 'roles.sql')
  writeFileSync(file, example('roles.sql').replaceAll('latchkey', 'shop'))
  const given = ['-v', 'ON_ERROR_STOP=1', '-v', "password='node'", '-v', "owner_password='owner'"]
  const place = ['-h', '127.0.0.1', '-p', `${port}`, '-U', 'postgres', '-d', 'postgres']
  const { code, stderr } = await run('psql', [...place, ...given, '-f', file], { PATH: process.env.PATH ?? '' })
  t.is(code, 0, stderr)
  const url = (role: string, password: string) => `postgres://${role}:${password}@127.0.0.1:${port}/shop`
  return { owner: url('shop_owner', 'owner'), node: url('shop', 'node') }
}

async function addAccount(t: ExecutionContext, environment: Environment) {
  for (const [args, stdin] of [
    [['client', 'add', 'app', '--public', '--grant', 'password', '--grant', 'refresh_token', '--scope', 'read'], ''],
    [['user', 'add', account.username, '--password-stdin'], account.password],
  ] as const)
    t.like(await runCommand(args, environment, stdin), { code: 0 })
}

testCluster(
  'roles.sql: the owner migrates, a node signs in, refreshes and imports, and can change no table',
  async t => {
    const primary = await startPrimary(t)
    const urls = await createRoles(t, primary)
    const environment = clusterEnvironment(t, urls.node)
    const early = await runCommand(['user', 'list'], environment)
    t.not(early.code, 0)

    t.like(await runCommand(['migrate'], { ...environment, LATCHKEY_DATABASE_URL: urls.owner }), { code: 0 })
    await addAccount(t, environment)
    const users = join(createFolder(t), 'users.json')
    writeFileSync(users, JSON.stringify([{ username: 'bob' }]))
    t.like(await runCommand(['user', 'import', users], environment), { code: 0 })
    const server = await startProcess(t, environment)
    const { status, body } = await signIn(server.url)

    t.is(status, 200)
    t.is((await refresh(server.url, body.refresh_token)).status, 200)
    const client = new Client(urls.node)
    await client.connect()
    t.teardown(() => client.end())
    for (const statement of [
      'DROP TABLE sessions',
      'ALTER TABLE audit_events DISABLE TRIGGER ALL',
      'TRUNCATE audit_events',
      'CREATE TABLE more (id int)',
    ])
      await t.throwsAsync(client.query(statement), { message: /must be owner|permission denied/ }, statement)
    t.is(await server.stop(), 0)
  },
)

testPooled('pgbouncer.ini: with its settings a node signs in and refreshes', async t => {
  const primary = await startPrimary(t)
  const given = [...example('pgbouncer.ini').matchAll(/^(\w+) = (.*)$/gm)].map(([, name, value]) => [name!, value!])
  const kept = given.filter(([name]) => !/^(?:latchkey|listen_\w+|auth_\w+)$/.test(name!))
  t.true(kept.some(([name, value]) => name === 'pool_mode' && value === 'transaction'))
  const pooler = await startPgbouncer(t, primary, Object.fromEntries(kept))
  const environment = clusterEnvironment(t, pooler.url)
  t.like(await runCommand(['migrate'], environment), { code: 0 })
  await addAccount(t, environment)
  const server = await startProcess(t, environment)
  const { body } = await signIn(server.url)

  t.is((await refresh(server.url, body.refresh_token)).status, 200)
  t.is(await server.stop(), 0)
})

test('compose.yaml names settings that there are and files that there are', t => {
  const text = example('compose.yaml')
  const names = new Set(text.match(/LATCHKEY_\w+/g))
  t.true(names.has('LATCHKEY_DATABASE_URL'))
  for (const name of names) t.true(Object.hasOwn(settings, name), name)
  t.true(existsSync(join(root, folder, /build: (\S+)/.exec(text)![1]!, 'Dockerfile')))
  for (const [, file] of text.matchAll(/- (\.\/[^:]+):/g)) t.true(existsSync(join(root, folder, file!)), file)
  const start: string = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts.start
  const [entrypoint, command] = ['entrypoint', 'command'].map(name => {
    const [, list] = new RegExp(`^ +${name}: \\[(.*)\\]$`, 'm').exec(text)!
    return list!.replaceAll(/'|,/g, '')
  })
  t.is(`exec ${entrypoint} ${command}`, start.replace('size=4', 'size=16'))
})
