/**
 * The answer to a COMMIT is lost, so nobody knows whether it happened: that is 503 with Retry-After and never invalid_grant, and the retry is
 * answered right, at any node (design, section 2). One node reaches PostgreSQL through a network that fails on command, the other directly.
 */
import type { ExecutionContext } from 'ava'
import { sharedPrimary, testCluster, until } from '../_cluster.ts'
import { startFaultyProxy } from '../_faulty_proxy.ts'
import { type Answered, account, logout, me, refresh, revoke, send, signIn, startNodes } from '../_nodes.ts'
import { runCommand } from '../_process.ts'

const sessionInserted = /\binsert into "?sessions\b/i
const sessionUpdated = /\bupdate "?sessions\b/i

const primary = sharedPrimary()

async function start(t: ExecutionContext) {
  t.timeout(120_000)
  const { port, createDatabase } = await primary()
  const proxy = await startFaultyProxy(t, { port })
  const url = await createDatabase()
  const bad = url.replace(`:${port}/`, `:${proxy.port}/`)
  const nodes = await startNodes(t, [url, bad])
  const [good, faulty] = nodes.nodes.map(node => node.url) as [string, string]
  /** Where the answer is lost it has happened, where the COMMIT is lost it has not. */
  const losses = [
    { hasHappened: true, lose: proxy.loseCommitAnswer },
    { hasHappened: false, lose: proxy.loseCommit },
  ]
  return { proxy, nodes, good, faulty, losses, bad }
}

/** Of an outcome that nobody knows: that the service is not there now, and when to ask again. */
function assertUnknown(t: ExecutionContext, { status, retryAfter, body }: Answered) {
  t.deepEqual([status, body.error], [503, 'temporarily_unavailable'])
  t.regex(retryAfter ?? '', /^[1-9]\d?$/)
}

async function assertEnded(t: ExecutionContext, urls: readonly string[], tokens: Record<string, unknown>) {
  for (const url of urls) {
    const refreshed = await refresh(url, tokens.refresh_token)
    t.deepEqual([refreshed.status, refreshed.body.error], [400, 'invalid_grant'])
    t.is(await me(url, tokens.access_token), 401)
  }
}

async function signInWith(url: string, password: string) {
  return (await signIn(url, { ...account, password })).body
}

/** How many sessions the user has, with the one that asks. */
async function liveSessions(url: string): Promise<number> {
  const { access_token } = (await signIn(url)).body
  const { body } = await send(`${url}/sessions`, { method: 'GET', bearer: String(access_token) })
  return (body.sessions as unknown[]).length
}

testCluster('a refresh whose COMMIT is lost is 503, and the retry is answered with one successor', async t => {
  const { faulty, good, losses } = await start(t)
  for (const { lose } of losses) {
    const { refresh_token } = (await signIn(good)).body
    const lost = lose({ statement: sessionUpdated })
    assertUnknown(t, await refresh(faulty, refresh_token))
    await lost

    const retries = await Promise.all([good, faulty, good, faulty].map(url => refresh(url, refresh_token)))

    t.deepEqual([...new Set(retries.map(({ status }) => status))], [200])
    const successors = [...new Set(retries.map(({ body }) => body.refresh_token))]
    t.is(successors.length, 1)
    t.is((await refresh(faulty, successors[0])).status, 200)
  }
})

testCluster('a logout whose COMMIT is lost is 503, and after the retry the session has ended', async t => {
  const { faulty, good, losses } = await start(t)
  const other = (await signIn(good)).body
  for (const { hasHappened, lose } of losses) {
    const tokens = (await signIn(good)).body
    const lost = lose({ statement: sessionUpdated })
    assertUnknown(t, await logout(faulty, tokens.access_token))
    await lost

    // Where it has happened, the access token is no longer one.
    t.is((await logout(faulty, tokens.access_token)).status, hasHappened ? 401 : 200)
    await assertEnded(t, [good, faulty], tokens)
  }
  t.is((await refresh(faulty, other.refresh_token)).status, 200, 'and no other one')
})

testCluster('a revocation whose COMMIT is lost is 503, and the retry is 200 (RFC 7009 §2.2)', async t => {
  const { faulty, good, losses } = await start(t)
  for (const { lose } of losses) {
    const tokens = (await signIn(good)).body
    const lost = lose({ statement: sessionUpdated })
    assertUnknown(t, await revoke(faulty, tokens.refresh_token))
    await lost

    t.is((await revoke(faulty, tokens.refresh_token)).status, 200)
    await assertEnded(t, [good, faulty], tokens)
  }
})

testCluster('a sign-in whose COMMIT is lost is 503, and the retry signs in', async t => {
  const { faulty, good, losses } = await start(t)
  for (const { hasHappened, lose } of losses) {
    const before = await liveSessions(good)
    const lost = lose({ statement: sessionInserted })
    assertUnknown(t, await signIn(faulty))
    await lost

    const { status, body } = await signIn(faulty)

    t.is(status, 200)
    t.is((await refresh(good, body.refresh_token)).status, 200)
    // One more each time for the question itself. A session that nobody got the tokens of is seen in the list, and can be ended there.
    t.is(await liveSessions(good), before + (hasHappened ? 3 : 2))
  }
})

testCluster(
  'a change of the password whose COMMIT is lost is 503, and then one of both passwords is right',
  async t => {
    const { faulty, good, losses } = await start(t)
    let right = account.password
    for (const { hasHappened, lose } of losses) {
      const [tokens, other] = [await signInWith(good, right), await signInWith(good, right)]
      const next = `another ${right}`
      const change = (current: string) =>
        send(`${faulty}/users/me/password`, {
          method: 'PUT',
          form: { current_password: current, new_password: next },
          bearer: String(tokens.access_token),
        })
      const lost = lose({ statement: /\bupdate "?users\b/i })
      assertUnknown(t, await change(right))
      await lost

      t.is((await change(hasHappened ? right : next)).status, 400)
      const changed = await change(hasHappened ? next : right)

      t.is(changed.status, 200)
      t.is((await refresh(good, changed.body.refresh_token)).status, 200)
      t.is((await signIn(good, { ...account, password: next })).status, 200)
      await assertEnded(t, [good, faulty], other)
      right = next
    }
  },
)

testCluster(
  'a COMMIT that is answered by nothing at all is 503 within a minute, and the retry is answered right',
  async t => {
    const { faulty, good, proxy } = await start(t)
    const tokens = (await signIn(good)).body
    const lost = proxy.loseCommitAnswer({ statement: sessionUpdated, silence: 'black' })
    const begun = Date.now()
    assertUnknown(t, await refresh(faulty, tokens.refresh_token))
    t.true(Date.now() - begun < 60_000)
    await lost

    const [first, second] = await Promise.all([good, faulty].map(url => refresh(url, tokens.refresh_token)))
    t.deepEqual([first!.status, second!.status], [200, 200])
    t.is(first!.body.refresh_token, second!.body.refresh_token)
  },
)

testCluster('a batch of refreshes whose COMMIT is lost signs none of its 32 devices out', async t => {
  const { faulty, good, proxy } = await start(t)
  const devices = await Promise.all(Array.from({ length: 32 }, async () => (await signIn(good)).body))
  const lost = proxy.loseCommitAnswer({ statement: sessionUpdated })

  const answers = await Promise.all(devices.map(({ refresh_token }) => refresh(faulty, refresh_token)))
  await lost

  const refused = answers.filter(({ status }) => status !== 200)
  t.true(refused.length > 0)
  for (const answer of refused) assertUnknown(t, answer)
  await until('every device is answered', async () => {
    const again = await Promise.all(devices.map(({ refresh_token }) => refresh(faulty, refresh_token)))
    const unlike = again.filter(({ status }) => status !== 200 && status !== 503)
    t.deepEqual(unlike, [])
    return again.every(({ status }) => status === 200)
  })
})

testCluster('a command whose COMMIT is lost fails in a line, and can be given again', async t => {
  const { nodes, proxy, bad, good } = await start(t)
  const tokens = (await signIn(good)).body
  const environment = { ...nodes.environment, LATCHKEY_DATABASE_URL: bad }
  const disable = () => runCommand(['user', 'disable', account.username, '--json'], environment)
  const lost = proxy.loseCommitAnswer({ statement: /\bupdate "?users\b/i })
  const failed = await disable()
  await lost
  t.is(failed.code, 1, failed.stdout)
  t.notRegex(failed.stdout + failed.stderr, /\n +at /)

  t.is((await disable()).code, 0)
  await assertEnded(t, [good], tokens)
})
