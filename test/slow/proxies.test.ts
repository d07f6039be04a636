/** The files of `examples/proxy/`, each with Debian's nginx or Caddy before the real server, over TLS. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { ExecutionContext } from 'ava'
import { testWith, until } from '../_cluster.ts'
import { account } from '../_nodes.ts'
import { createFolder, deployment, freePort, root, runCommand, startProcess } from '../_process.ts'

type Sample = Readonly<{ program: 'nginx' | 'caddy'; file: string; host: string; path: string }>

const samples: readonly Sample[] = [
  { program: 'nginx', file: 'nginx.conf', host: 'auth.example.com', path: '' },
  { program: 'nginx', file: 'nginx-below-a-path.conf', host: 'example.com', path: '/auth' },
  { program: 'caddy', file: 'Caddyfile', host: 'auth.example.com', path: '' },
  { program: 'caddy', file: 'Caddyfile-below-a-path', host: 'example.com', path: '/auth' },
]

const programs = { nginx: '/usr/sbin/nginx', caddy: '/usr/bin/caddy' }
const openssl = '/usr/bin/openssl'

/** Everything on loopback is this machine: a client that is not the proxy has another address of it. */
const client = '127.0.0.2'

for (const { program, file, host, path } of samples) {
  const testProxy = testWith({ [program]: programs[program], openssl })
  const issuer = `https://${host}${path}`

  testProxy(`${file}: an app signs in and refreshes, and its address is its own, not what it claims`, async t => {
    const { send, environment, server } = await startBehind(t, { program, file, host, path })
    const claims = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9' }
    const form = (params: Record<string, string>) => ({
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...claims },
      body: new URLSearchParams({ client_id: 'app', ...params }).toString(),
    })
    const signedIn = await send(`${path}/token`, form({ grant_type: 'password', ...account }))
    t.is(signedIn.status, 200, signedIn.body)
    const { access_token, refresh_token } = JSON.parse(signedIn.body)
    t.is((await send(`${path}/token`, form({ grant_type: 'refresh_token', refresh_token }))).status, 200)
    const me = await send(`${path}/users/me`, { headers: { authorization: `Bearer ${access_token}` } })
    t.is(JSON.parse(me.body).username, account.username)

    const { stdout } = await runCommand(['audit', '--user', account.username, '--ip', client, '--json'], environment)
    t.is(JSON.parse(stdout).length, 1, stdout)
    t.deepEqual(
      server.log.filter(({ msg }) => String(msg).includes('is ignored')),
      [],
    )
  })

  testProxy(`${file}: metadata is at every place where a client looks, and all that it names is there`, async t => {
    const { send } = await startBehind(t, { program, file, host, path })
    for (const place of [
      // RFC 8414 §3.1 and §5, and OpenID Connect Discovery 1.0 §4.
      `/.well-known/oauth-authorization-server${path}`,
      `/.well-known/openid-configuration${path}`,
      `${path}/.well-known/openid-configuration`,
      `${path}/.well-known/oauth-authorization-server`,
    ]) {
      const { status, body } = await send(place)
      t.is(status, 200, place)
      t.is(JSON.parse(body).issuer, issuer, place)
    }
    const metadata = JSON.parse((await send(`${path}/.well-known/openid-configuration`)).body)
    const urls = Object.entries<unknown>(metadata).filter(([name]) => /_(?:endpoint|uri)$/.test(name))
    t.true(urls.length >= 5)
    for (const [name, url] of urls) {
      const { status, headers } = await send(String(url).replace(`https://${host}`, ''))
      t.not(status, 404, name)
      t.truthy(headers['x-request-id'], name)
    }
    const change = await send('/.well-known/change-password')
    t.deepEqual([change.status, change.headers.location], [303, `${path}/profile/password`])
  })

  testProxy(`${file}: what phones and browsers ask about passkeys is at the root of the host (RFC 8615)`, async t => {
    const { send } = await startBehind(t, { program, file, host, path })
    const apple = await send('/.well-known/apple-app-site-association')
    t.deepEqual([apple.status, JSON.parse(apple.body)], [200, { webcredentials: { apps: [appleApp] } }])
    for (const place of ['/.well-known/webauthn', '/.well-known/assetlinks.json']) {
      const { status, body } = await send(place)
      t.deepEqual([status, JSON.parse(body).error], [404, 'not_found'], place)
    }
  })

  testProxy(`${file}: the pages find their style and their forms, and the cookie comes back`, async t => {
    const { send } = await startBehind(t, { program, file, host, path })
    const page = await send(`${path}/login`, { headers: { accept: 'text/html' } })
    t.is(page.status, 200)
    const targets = [...page.body.matchAll(/ (?:href|action|src)="(\/[^"]*)"/g)].map(([, target]) => target!)
    t.true(targets.length >= 3)
    for (const target of targets) {
      t.true(target.startsWith(`${path}/`), target)
      t.not((await send(target)).status, 404, target)
    }
    const signedIn = await send(`${path}/login`, {
      method: 'POST',
      headers: { accept: 'text/html', origin: `https://${host}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(account).toString(),
    })
    t.deepEqual([signedIn.status, signedIn.headers.location], [303, `${path}/profile`])
    const [cookie = ''] = signedIn.headers['set-cookie']!.map(line => line.split(';')[0]!)
    const profile = await send(`${path}/profile`, { headers: { accept: 'text/html', cookie } })
    t.is(profile.status, 200)
    t.true(profile.body.includes(account.username))
  })

  if (path !== '')
    testProxy(`${file}: what is not below the path stays the site's own`, async t => {
      const { send } = await startBehind(t, { program, file, host, path })
      t.is((await send('/')).body, 'a site of yours')
      for (const other of ['/token', '/health/ready', '/.well-known/jwks.json'])
        t.deepEqual([(await send(other)).status, (await send(other)).headers['x-request-id']], [404, undefined], other)
      const withoutSlash = await send(path)
      t.is(withoutSlash.status, 308)
      t.regex(withoutSlash.headers.location ?? '', /\/auth\/$/)
    })
}

const appleApp = 'A1B2C3D4E5.com.example.app'

type Sent = Readonly<{ method?: string; headers?: Record<string, string>; body?: string }>

/** The server with an account and the client `app`, behind the proxy of the sample. */
async function startBehind(t: ExecutionContext, { program, file, host, path }: Sample) {
  const folder = createFolder(t)
  const environment = deployment(folder, {
    LATCHKEY_ISSUER: `https://${host}${path}`,
    LATCHKEY_TRUST_PROXY: '127.0.0.1,::1',
    LATCHKEY_APPLE_APPS: appleApp,
  })
  const server = await startProcess(t, environment)
  t.is((await runCommand(['user', 'add', account.username, '--password-stdin'], environment, account.password)).code, 0)

  const [key, certificate] = [join(folder, 'tls.key'), join(folder, 'tls.pem')]
  const names = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  spawnSync(openssl, ['req', '-x509', ...curve, '-keyout', key, '-out', certificate, ...names])
  const site = join(folder, 'site')
  spawnSync('mkdir', [site])
  writeFileSync(join(site, 'index.html'), 'a site of yours')

  const port = await freePort()
  const sample = readFileSync(join(root, 'examples/proxy', file), 'utf8')
    .replaceAll('127.0.0.1:3000', new URL(server.url).host)
    .replaceAll('/var/www/html', site)
  const config = join(folder, file)
  const args = { nginx: writeNginx, caddy: writeCaddy }[program]({
    folder,
    config,
    sample,
    host,
    port,
    key,
    certificate,
  })
  const child = spawn(programs[program], args, {
    env: { PATH: process.env.PATH, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = once(child, 'exit')
  const complaints = text(child.stderr)
  t.teardown(async () => {
    child.kill('SIGTERM')
    await ended
  })

  const ca = readFileSync(certificate)
  /** One request on a connection of its own. */
  async function send(target: string, { method = 'GET', headers = {}, body = '' }: Sent = {}) {
    const outgoing = request({
      ...{ host: '127.0.0.1', port, localAddress: client, servername: host, ca, agent: false },
      ...{ method, path: target, headers: { host, ...headers } },
    })
    outgoing.end(body)
    const [answer] = await once(outgoing, 'response')
    return {
      status: answer.statusCode as number,
      headers: answer.headers as Record<string, string> & { 'set-cookie'?: string[] },
      body: await text(answer),
    }
  }
  await until(`${program} answers`, async () => {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}: ${await complaints}`)
    return send(`${path}/health/ready`).then(
      ({ status }) => status === 200,
      () => false,
    )
  })
  return { send, environment, server }
}

type Written = Readonly<
  Record<'folder' | 'config' | 'sample' | 'host' | 'key' | 'certificate', string> & { port: number }
>

/** @returns the arguments for nginx */
function writeNginx({ folder, config, sample, port, key, certificate }: Written): string[] {
  writeFileSync(
    config,
    sample
      .replace('listen 443 ssl;', `listen 127.0.0.1:${port} ssl;`)
      .replace(/(ssl_certificate) .*/, `$1 ${certificate};`)
      .replace(/(ssl_certificate_key) .*/, `$1 ${key};`),
  )
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    kind => `${kind}_temp_path ${join(folder, kind)};`,
  )
  const main = join(folder, 'main.conf')
  writeFileSync(
    main,
    `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; pid ${join(folder, 'nginx.pid')}; events {}
    http { access_log off; ${temporary.join(' ')} include ${config}; }`,
  )
  return ['-c', main, '-e', 'stderr']
}

/** @returns the arguments for Caddy */
function writeCaddy({ config, sample, host, port, key, certificate }: Written): string[] {
  const site = `https://${host}:${port} {\n\tbind 127.0.0.1\n\ttls ${certificate} ${key}`
  const options = '{\n\tadmin off\n\tauto_https disable_redirects\n}\n'
  writeFileSync(config, options + sample.replace(new RegExp(`^${host} \\{`, 'm'), site))
  return ['run', '--adapter', 'caddyfile', '--config', config]
}
