/** The command line and the admin API are two fronts of one thing: each verb has the same document, the same effect and the same audit row. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createFolder, deployment, postForm, runCommand, startProcess } from '../../_process.ts'

const password = 'correct horse battery staple'

type Document = Record<string, unknown>
/** What each verb is on either side; `{alice}`, `{session}` stand for ids that differ, and a list is under its name in the API. */
type Verb = Readonly<{
  cli: string
  stdin?: string
  api: readonly [method: string, path: string, body?: object]
  list?: string
}>

const jobs = {
  client_id: 'jobs',
  client_name: 'Jobs',
  grant_types: ['client_credentials'],
  scope: 'read',
  access_token_ttl: 60,
}

const verbs: readonly Verb[] = [
  {
    cli: 'user add bob --email bob@example.com --name Bob --password-stdin',
    stdin: password,
    api: ['POST', '/admin/users', { username: 'bob', email: 'bob@example.com', full_name: 'Bob', password }],
  },
  {
    cli: 'user update bob --username robert --email rob@example.com --role admin --role staff',
    api: ['PATCH', '/admin/users/{bob}', { username: 'robert', email: 'rob@example.com', roles: ['admin', 'staff'] }],
  },
  {
    cli: 'user invite frank@example.com --name Frank --role staff --lifetime 3h',
    api: [
      'POST',
      '/admin/invitations',
      { email: 'frank@example.com', full_name: 'Frank', roles: ['staff'], lifetime: 10_800 },
    ],
  },
  { cli: 'user show alice', api: ['GET', '/admin/users/{alice}'] },
  { cli: 'user factors alice', api: ['GET', '/admin/users/{alice}/factors'], list: 'factors' },
  { cli: 'user factors alice --reset', api: ['DELETE', '/admin/users/{alice}/factors'] },
  { cli: 'user list', api: ['GET', '/admin/users'], list: 'users' },
  {
    cli: 'user import --dry-run {file}',
    api: ['POST', '/admin/users/import', { users: [{ username: 'carol', disabled: true }], dry_run: true }],
  },
  {
    cli: 'user import {file}',
    api: ['POST', '/admin/users/import', { users: [{ username: 'carol', disabled: true }] }],
  },
  { cli: 'session list --user alice', api: ['GET', '/admin/sessions?user_id={alice}'], list: 'sessions' },
  { cli: 'session list --client app', api: ['GET', '/admin/sessions?client_id=app'], list: 'sessions' },
  { cli: 'session revoke {session}', api: ['DELETE', '/admin/sessions/{session}'] },
  {
    cli: 'session revoke --user alice --client app',
    api: ['POST', '/admin/sessions/revoke', { user_id: '{alice}', client_id: 'app' }],
  },
  { cli: 'session revoke --user alice', api: ['POST', '/admin/sessions/revoke', { user_id: '{alice}' }] },
  { cli: 'session revoke --client app', api: ['POST', '/admin/sessions/revoke', { client_id: 'app' }] },
  { cli: 'session revoke --all', api: ['POST', '/admin/sessions/revoke', { all: true }] },
  {
    cli: 'user password alice --password-stdin',
    stdin: 'seven lamps over the harbour',
    api: ['PUT', '/admin/users/{alice}/password', { password: 'seven lamps over the harbour' }],
  },
  { cli: 'user disable alice', api: ['POST', '/admin/users/{alice}/disable'] },
  { cli: 'user enable alice', api: ['POST', '/admin/users/{alice}/enable'] },
  { cli: 'user remove alice', api: ['DELETE', '/admin/users/{alice}'] },
  {
    cli: 'client add jobs --name Jobs --grant client_credentials --scope read --access-token-ttl 60',
    api: ['POST', '/admin/clients', jobs],
  },
  { cli: 'client show jobs', api: ['GET', '/admin/clients/jobs'] },
  { cli: 'client list', api: ['GET', '/admin/clients'], list: 'clients' },
  {
    cli: 'client update jobs --scope write --access-token-ttl default --cors-origin https://app.example.com',
    api: [
      'PATCH',
      '/admin/clients/jobs',
      { scope: 'write', access_token_ttl: null, cors_origins: ['https://app.example.com'] },
    ],
  },
  { cli: 'client rotate-secret jobs', api: ['POST', '/admin/clients/jobs/rotate-secret', {}] },
  { cli: 'client drop-old-secret jobs', api: ['POST', '/admin/clients/jobs/drop-old-secret'] },
  { cli: 'client rotate-secret jobs --now', api: ['POST', '/admin/clients/jobs/rotate-secret', { now: true }] },
  { cli: 'client disable jobs', api: ['POST', '/admin/clients/jobs/disable'] },
  { cli: 'client enable jobs', api: ['POST', '/admin/clients/jobs/enable'] },
  { cli: 'client remove jobs', api: ['DELETE', '/admin/clients/jobs'] },
  { cli: 'key list', api: ['GET', '/admin/keys'], list: 'keys' },
  { cli: 'key rotate', api: ['POST', '/admin/keys/rotate'] },
  // Of types that do not happen here: nothing is sent.
  {
    cli: 'webhook add https://127.0.0.1:1/hook --type backup --type session.reused',
    api: ['POST', '/admin/webhooks', { url: 'https://127.0.0.1:1/hook', types: ['backup', 'session.reused'] }],
  },
  { cli: 'webhook list', api: ['GET', '/admin/webhooks'], list: 'webhooks' },
  { cli: 'webhook show {webhook}', api: ['GET', '/admin/webhooks/{webhook}'] },
  {
    cli: 'webhook update {webhook} --url https://127.0.0.1:1/other --type backup',
    api: ['PATCH', '/admin/webhooks/{webhook}', { url: 'https://127.0.0.1:1/other', types: ['backup'] }],
  },
  { cli: 'webhook rotate-secret {webhook}', api: ['POST', '/admin/webhooks/{webhook}/rotate-secret', {}] },
  { cli: 'webhook drop-old-secret {webhook}', api: ['POST', '/admin/webhooks/{webhook}/drop-old-secret'] },
  {
    cli: 'webhook rotate-secret {webhook} --now',
    api: ['POST', '/admin/webhooks/{webhook}/rotate-secret', { now: true }],
  },
  { cli: 'webhook disable {webhook}', api: ['POST', '/admin/webhooks/{webhook}/disable'] },
  { cli: 'webhook enable {webhook} --from-now', api: ['POST', '/admin/webhooks/{webhook}/enable', { from_now: true }] },
  { cli: 'webhook remove {webhook}', api: ['DELETE', '/admin/webhooks/{webhook}'] },
  { cli: 'audit --type user --limit 2', api: ['GET', '/admin/audit?type=user&limit=2'], list: 'events' },
]

/** What differs from one deployment to the next is named by its kind. */
function bare(value: unknown): unknown {
  const text = JSON.stringify(value, (name, member) => {
    if (name === 'ip' || name === 'request_id' || name === 'user_agent') return undefined
    if (/(?:_at|^at)$/.test(name) && typeof member === 'number') return 'a time'
    if (name === 'kid') return 'a kid'
    return typeof member === 'string' ? member.replace(/^(?:operator [^:]+|client ops)/, 'the actor') : member
  })
  return JSON.parse(
    text
      .replace(/usr_[\w-]{22}/g, 'usr_')
      .replace(/lks_[\w-]{43}/g, 'lks_')
      .replace(/http:\/\/localhost:\d+(\/mail\/invitation\?token=lkm_)[\w-]+/g, '$1')
      .replace(/invitation [\w-]{22}/g, 'invitation')
      .replace(/whk_[\w-]{22}/g, 'whk_')
      .replace(/whsec_[\w+/]{43}=/g, 'whsec_')
      .replace(/ES256 [\w-]{43}/g, 'ES256 a kid')
      .replace(/"detail":"[0-9a-f]{8}"/g, '"detail":"a master secret"')
      .replace(/"(id|session_id)":"[\w-]{22}"/g, '"$1":"a session"'),
  )
}

/** A deployment with a server, the user `alice`, the client `app` and the program `ops`. */
async function start(t: ExecutionContext) {
  const folder = createFolder(t)
  const environment = deployment(folder, { LATCHKEY_BOOTSTRAP: 'off', LATCHKEY_ADMIN_PORT: '0' })
  const server = await startProcess(t, environment)
  const { adminUrl } = server.log.find(({ msg }) => msg === 'listening')!
  async function cli(line: string, stdin = ''): Promise<Document> {
    const { code, stdout, stderr } = await runCommand([...line.split(' '), '--json'], environment, stdin)
    if (code !== 0) throw new Error(`${line}: ${stderr}`)
    return JSON.parse(stdout)
  }
  const file = join(folder, 'users.json')
  writeFileSync(file, JSON.stringify([{ username: 'carol', disabled: true }]))
  const { id: alice } = await cli('user add alice --password-stdin', password)
  await cli('client add app --public --grant password --grant refresh_token --scope read')
  const scopes = ['users', 'sessions', 'clients', 'keys', 'audit'].map(noun => `admin:${noun}`).join(' ')
  const args = ['client', 'add', 'ops', '--grant', 'client_credentials', '--scope', scopes, '--json']
  const { client_secret } = JSON.parse((await runCommand(args, environment)).stdout)
  const credentials = { grant_type: 'client_credentials', client_id: 'ops', client_secret }
  const { body } = await postForm(`${server.url}/token`, credentials)
  async function api([method, path, document]: Verb['api']): Promise<Document> {
    const answer = await fetch(`${adminUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${body.access_token}`, 'content-type': 'application/json' },
      ...(document && { body: JSON.stringify(document) }),
    })
    const read = (await answer.json()) as Document
    if (!answer.ok) throw new Error(`${method} ${path}: ${JSON.stringify(read)}`)
    return read
  }
  async function signIn(): Promise<string> {
    const form = { grant_type: 'password', client_id: 'app', username: 'alice', password }
    const { body } = await postForm(`${server.url}/token`, form)
    const [, claims = ''] = String(body.access_token).split('.')
    return JSON.parse(Buffer.from(claims, 'base64url').toString()).sid
  }
  return { cli, api, signIn, ids: { file, alice: String(alice), bob: '', session: '', webhook: '' } }
}

function fill<T>(what: T, ids: Record<string, string>): T {
  return JSON.parse(JSON.stringify(what).replace(/\{(\w+)\}/g, (_, name) => ids[name] ?? `{${name}}`))
}

test('each verb has the same document, the same effect and the same audit row by the command line and by the admin API', async t => {
  const [byCommand, byApi] = await Promise.all([start(t), start(t)])
  const state = async ({ cli }: typeof byApi) =>
    bare([await cli('user list'), await cli('client list'), await cli('session list'), await cli('key list')])
  const trail = async ({ cli }: typeof byApi) => bare(await cli('audit --limit 1000')) as object[]
  t.deepEqual(await state(byApi), await state(byCommand))

  for (const { cli, stdin, api, list } of verbs) {
    for (const side of [byCommand, byApi]) if (cli.startsWith('session')) side.ids.session = await side.signIn()
    const printed = await byCommand.cli(fill(cli, byCommand.ids), stdin)
    const answered = await byApi.api(fill(api, byApi.ids))
    if (answered.username === 'bob') byApi.ids.bob = String(answered.id)
    if (cli.startsWith('webhook add')) {
      byApi.ids.webhook = String(answered.id)
      byCommand.ids.webhook = String(printed.id)
    }
    t.deepEqual(bare(list === undefined ? answered : answered[list]), bare(printed), cli)
    t.deepEqual(await state(byApi), await state(byCommand), cli)
  }
  const rows = await trail(byApi)
  t.deepEqual(rows, await trail(byCommand))
  t.true(rows.length > verbs.length / 2)
})
