/** `latchkey user reset-link`: a link for an operator to hand over, also where no mails are sent. */
import test from 'ava'
import { createFolder, migratedDeployment, postForm, runCommand, startProcess } from '../_process.ts'

const password = 'a password that will do'
const issuer = 'https://auth.example.com'
const fresh = 'seven lamps over the harbour'

test('user reset-link prints a link that sets another password once, on a server without mails, and no log has it', async t => {
  const environment = migratedDeployment(createFolder(t), { LATCHKEY_BOOTSTRAP: 'off', LATCHKEY_ISSUER: issuer })
  const cli = (...args: string[]) => runCommand(['user', ...args], environment)
  await runCommand(['user', 'add', 'alice', '--password-stdin'], environment, password)
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password'], environment)
  const server = await startProcess(t, environment)
  const made = JSON.parse((await cli('reset-link', 'alice', '--lifetime', '2m', '--json')).stdout)
  t.deepEqual(Object.keys(made), ['username', 'link', 'expires_at'])
  t.true(made.expires_at > Date.now() / 1000 && made.expires_at <= Date.now() / 1000 + 121)
  t.true(made.link.startsWith(`${issuer}/mail/password_reset?token=lkm_`), made.link)
  const { stdout } = await cli('reset-link', 'ALICE')
  t.regex(
    stdout,
    /^https:\/\/auth\.example\.com\/mail\/password_reset\?token=lkm_[\w-]+\nworks once for alice, until 20\S+Z\n$/,
  )

  const accept = 'text/html'
  const opened = await fetch(made.link.replace(issuer, server.url), { redirect: 'manual', headers: { accept } })
  const cookie = opened.headers.getSetCookie()[0]!.split(';')[0]!
  const form = `${server.url}/mail/password_reset`
  t.regex(await (await fetch(form, { headers: { accept, cookie } })).text(), /Choose a new password/)
  const send = () =>
    fetch(form, {
      method: 'POST',
      redirect: 'manual',
      headers: { accept, cookie },
      body: new URLSearchParams({ new_password: fresh, new_password_repeat: fresh }),
    })
  t.is((await send()).status, 303)
  t.is((await send()).status, 410)
  const credentials = { grant_type: 'password', client_id: 'app', username: 'alice' }
  t.is((await postForm(`${server.url}/token`, { ...credentials, password })).status, 400)
  t.is((await postForm(`${server.url}/token`, { ...credentials, password: fresh })).status, 200)

  t.is((await cli('reset-link', 'nobody')).code, 1)
  for (const lifetime of ['59s', '25h', 'x']) {
    const { code, stderr } = await cli('reset-link', 'alice', '--lifetime', lifetime)
    t.deepEqual([code, stderr.includes('it takes a duration from 1m to 24h')], [2, true], lifetime)
  }
  await cli('disable', 'alice')
  const disabled = await cli('reset-link', 'alice')
  t.deepEqual([disabled.code, disabled.stderr.includes('the user alice is disabled')], [1, true])

  const audit = JSON.parse((await runCommand(['audit', '--type', 'user', '--json'], environment)).stdout)
  const types = audit.map(({ type }: { type: string }) => type)
  t.deepEqual(types, [
    'user.disabled',
    'user.password_reset',
    'user.reset_link_created',
    'user.reset_link_created',
    'user.created',
  ])
  t.regex(audit[2].detail, /^operator \S+$/)
  // Promise 6.
  t.false(JSON.stringify([audit, server.log]).includes('lkm_'))
})
