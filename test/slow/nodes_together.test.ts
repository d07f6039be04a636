/** What the nodes of one deployment do together, with the real programs: they count, rotate keys, and learn of a new master secret. */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { account, refresh, send, signIn, startNodes } from '../_nodes.ts'
import { emptyDatabase } from '../_postgres.ts'
import { createFolder } from '../_process.ts'

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('this took too long')
    await delay(200)
  }
}

test('wrong passwords at two nodes behind a proxy are counted together', async t => {
  const database = await emptyDatabase(t)
  const nodes = await startNodes(t, [database, database], { LATCHKEY_THROTTLE: 'on' })
  const statuses = []
  for (let i = 0; i < 14; i++) statuses.push((await signIn(nodes.url, { ...account, password: `wrong ${i}` })).status)
  t.deepEqual(statuses.slice(0, 11), Array(11).fill(400))
  t.true(statuses.slice(11).includes(429), statuses.join())
  t.true(nodes.counts.every(count => count >= 7))
})

test('a key that an operator adds is published by both nodes within seconds', async t => {
  const database = await emptyDatabase(t)
  const nodes = await startNodes(t, [database, database])
  const { kid } = (await nodes.cli(['key', 'rotate'])) as { kid: string }
  for (const { url } of nodes.nodes)
    await until(async () =>
      JSON.stringify((await send(`${url}/.well-known/jwks.json`, { method: 'GET' })).body).includes(kid),
    )
  t.pass()
})

test('secret rotate: both nodes know the new one, go on under the old one until all do, and sign nobody out', async t => {
  const database = await emptyDatabase(t)
  const file = join(createFolder(t), 'secret')
  writeFileSync(file, randomBytes(32).toString('base64url'), { mode: 0o600 })
  const nodes = await startNodes(t, [database, database], { LATCHKEY_SECRET: '', LATCHKEY_SECRET_FILE: file })
  let { refresh_token } = (await signIn(nodes.url)).body
  const began = Math.floor(Date.now() / 1000)
  const { newest } = (await nodes.cli(['secret', 'rotate'])) as { newest: string }
  const status = async () => (await nodes.cli(['secret', 'status'])) as Record<string, unknown>[]
  const count = async () => {
    const events = (await nodes.cli(['audit', '--type', 'secret.in_use'])) as unknown
    return JSON.stringify(events).includes(newest)
  }
  await until(count)
  for (let i = 0; i < 4; i++) {
    const answer = await refresh(nodes.nodes[i % 2]!.url, refresh_token)
    t.is(answer.status, 200)
    refresh_token = answer.body.refresh_token
  }
  const [now, old] = await status()
  t.like(now, { name: newest, newest: true, used_since: null })
  t.like(old, { newest: false, sessions: 1 })
  // Each node says so within seconds of its start, at a moment of its own.
  await until(async () => (await status())[1]!.used_until !== null)
  t.true(((await status())[1]!.used_until as number) > began)
})
