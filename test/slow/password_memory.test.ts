/** How long a password stays in memory: until its request is answered. CWE-316; read from the running program's heap. */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { createFolder, migratedDeployment, postForm, runCommand, startProcess } from '../_process.ts'

test('a password is in the heap while its hash is computed, and in none of it when the next request has been answered', async t => {
  const folder = createFolder(t)
  const environment = migratedDeployment(folder, {
    LATCHKEY_BOOTSTRAP: 'off',
    NODE_OPTIONS: `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${folder}`,
    // Hashes of half a second, so that one is under way when the heap is looked at.
    LATCHKEY_ARGON2_MEMORY: '65536',
    LATCHKEY_ARGON2_PASSES: '10',
  })
  // In letters that are the same in a form, so that a body that is kept shows too.
  const [right, wrong, changed] = ['the-password-of-the-user', 'a-password-that-is-wrong', 'a-password-that-comes-next']
  await runCommand(['user', 'add', 'alice', '--password-stdin'], environment, right)
  await runCommand(['client', 'add', 'app', '--public', '--grant', 'password'], environment)
  const server = await startProcess(t, environment)
  const signIn = (password: string) =>
    postForm(`${server.url}/token`, { grant_type: 'password', client_id: 'app', username: 'alice', password })
  const login = (password: string) =>
    fetch(`${server.url}/login`, {
      method: 'POST',
      body: JSON.stringify({ username: 'alice', password }),
      headers: { 'content-type': 'application/json' },
    })
  const isLive = async () => (await fetch(`${server.url}/health/live`)).status === 200
  const found = async () => {
    server.child.kill('SIGUSR2')
    const heap = await snapshot(folder)
    return [right, wrong, changed].filter(password => heap.includes(password))
  }

  const signedIn = signIn(right)
  // Connections are accepted in their order: once this one is answered, the sign-in is under way.
  t.true(await isLive())
  t.deepEqual(await found(), [right])
  const { status, body } = await signedIn
  t.is(status, 200)
  t.is((await signIn(wrong)).status, 400)
  t.is((await login(right)).status, 200)
  t.is((await login(wrong)).status, 401)
  const change = await fetch(`${server.url}/users/me/password`, {
    method: 'PUT',
    body: new URLSearchParams({ current_password: right, new_password: changed }),
    headers: { authorization: `Bearer ${body.access_token}` },
  })
  t.is(change.status, 200)
  t.true(await isLive())

  t.deepEqual(await found(), [])
})

/** The text of a heap snapshot, when all of it is written. */
async function snapshot(folder: string): Promise<string> {
  for (;;) {
    await delay(100)
    const file = readdirSync(folder).find(name => name.endsWith('.heapsnapshot'))
    if (file === undefined) continue
    const text = readFileSync(join(folder, file), 'utf8')
    if (!text.trimEnd().endsWith('}')) continue
    rmSync(join(folder, file))
    return text
  }
}
