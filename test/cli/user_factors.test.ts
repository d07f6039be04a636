/** `latchkey user factors`: what an operator sees and does, beside a running server. */
import test from 'ava'
import { codeOf } from '../_factors.ts'
import { createFolder, migratedDeployment, postForm, runCommand, startProcess } from '../_process.ts'

const password = 'a password that will do'

test('user factors lists them, user show names them, --reset removes them and ends the sessions; an export has none', async t => {
  const environment = migratedDeployment(createFolder(t), { LATCHKEY_BOOTSTRAP: 'off' })
  const cli = (...args: string[]) => runCommand(['user', ...args], environment)
  await runCommand(['user', 'add', 'alice', '--password-stdin'], environment, password)
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password', '--grant', 'refresh_token'], environment)
  const server = await startProcess(t, environment)
  const credentials = { grant_type: 'password', client_id: 'app', username: 'alice', password }
  const { body: tokens } = await postForm(`${server.url}/token`, credentials)
  t.is((await cli('factors', 'alice')).stdout, 'alice has no second factor\n')
  t.is((await cli('factors', 'alice', '--reset')).stdout, 'alice has no second factor, and stays signed in\n')
  t.is((await cli('factors', 'nobody')).code, 1)

  const headers = { authorization: `Bearer ${tokens.access_token}` }
  const enroll = async (path: string, params: Record<string, string>) => {
    const answer = await fetch(`${server.url}/users/me/factors${path}`, {
      method: 'POST',
      body: new URLSearchParams(params),
      headers,
    })
    if (!answer.ok) throw new Error(await answer.text())
    return (await answer.json()) as Record<string, string>
  }
  const begun = await enroll('', { kind: 'totp', name: 'Phone' })
  const otp = codeOf(begun.secret!, Math.floor(Date.now() / 1000))
  const { id } = await enroll('/confirm', { enrollment: begun.enrollment!, otp })

  const listed = JSON.parse((await cli('factors', 'alice', '--json')).stdout)
  t.like(
    listed.find((one: { kind: string }) => one.kind === 'totp'),
    { id, name: 'Phone', used_at: null },
  )
  t.like(
    listed.find((one: { kind: string }) => one.kind === 'recovery_codes'),
    { codes_left: 10 },
  )
  const text = (await cli('factors', 'alice')).stdout
  t.regex(text, /^FACTOR +KIND +NAME +CREATED +LAST USED +CODES LEFT\n/)
  t.regex(text, new RegExp(`${id} +totp +Phone +20\\d\\d-\\S+ +- +-`))
  const shown = (await cli('show', 'alice')).stdout
  t.regex(shown, /^factors +(?:totp \(Phone\), recovery_codes|recovery_codes, totp \(Phone\))$/m)
  const exported = (await cli('export')).stdout
  t.false(/totp|factor|fac_/.test(exported), exported)
  for (const verb of ['import', 'export']) t.regex((await cli(verb, '--help')).stdout, /Second factors are/)

  t.deepEqual(JSON.parse((await cli('factors', 'alice', '--reset', '--json')).stdout), { removed: 2 })
  const refresh = { grant_type: 'refresh_token', client_id: 'app', refresh_token: String(tokens.refresh_token) }
  t.is((await postForm(`${server.url}/token`, refresh)).status, 400)
  t.is((await postForm(`${server.url}/token`, credentials)).status, 200)
  const audit = JSON.parse((await runCommand(['audit', '--type', 'factor', '--json'], environment)).stdout)
  t.deepEqual(
    audit.map(({ type }: { type: string }) => type),
    ['factor.removed', 'factor.added'],
  )
  t.regex(audit[0].detail, /^operator [^:]+: .*totp fac_/)
})
