/** The database cannot be reached, or not by everybody: requests end in bounded time with 503, and all is well as soon as it is back. */
import type { ExecutionContext } from 'ava'
import { role, sharedPrimary, startPrimary, testCluster, until } from '../_cluster.ts'
import { createFleet } from '../_devices.ts'
import { startFaultyProxy } from '../_faulty_proxy.ts'
import { type Answered, account, me, refresh, send, signIn, startNodes } from '../_nodes.ts'

const primary = sharedPrimary()

/** Whatever waits for the network may wait for so many milliseconds, on a slow machine. */
const bounded = 60_000

async function start(t: ExecutionContext) {
  t.timeout(240_000)
  const { port, createDatabase } = await primary()
  const proxy = await startFaultyProxy(t, { port })
  const url = await createDatabase()
  const bad = url.replace(`:${port}/`, `:${proxy.port}/`)
  const nodes = await startNodes(t, [url, bad])
  const [good, faulty] = nodes.nodes.map(node => node.url) as [string, string]
  return { proxy, nodes, good, faulty }
}

function assertUnavailable(t: ExecutionContext, { status, retryAfter, body }: Answered) {
  t.deepEqual([status, body.error], [503, 'temporarily_unavailable'])
  t.regex(retryAfter ?? '', /^[1-9]\d?$/)
}

const ready = async (url: string) => (await send(`${url}/health/ready`, { method: 'GET' })).status
const live = async (url: string) => (await send(`${url}/health/live`, { method: 'GET' })).status

/** Refreshes with one token until it works. @returns the answer */
async function refreshAtLast(t: ExecutionContext, url: string, token: unknown): Promise<Answered> {
  let answer: Answered | undefined
  await until('a refresh works again', async () => {
    answer = await refresh(url, token)
    t.true(answer.status === 200 || answer.status === 503, JSON.stringify(answer))
    return answer.status === 200
  })
  return answer!
}

testCluster(
  'a network that goes black in the middle of requests: 503 in bounded time at that node, and it heals',
  async t => {
    const { proxy, good, faulty } = await start(t)
    const devices = await Promise.all(Array.from({ length: 20 }, async () => (await signIn(good)).body))
    t.is(await ready(faulty), 200)

    const begun = Date.now()
    const answers = devices.map(({ refresh_token }) => refresh(faulty, refresh_token))
    proxy.goBlack()
    const others = devices.map(({ access_token }) => me(faulty, access_token))
    const first = await Promise.all(answers)
    t.true((await Promise.all(others)).every(status => status === 200 || status === 503))
    t.true(Date.now() - begun < bounded)
    const refused = first.filter(({ status }) => status !== 200)
    for (const answer of refused) assertUnavailable(t, answer)
    // By now nothing that is black can be a surprise.
    assertUnavailable(t, await refresh(faulty, devices[0]!.refresh_token))
    t.deepEqual([await ready(faulty), await live(faulty)], [503, 200])

    // What the lost connections hold on the server, locks of sessions among it, holds up the other node no longer than that either.
    const elsewhere = await Promise.all(devices.map(({ refresh_token }) => refreshAtLast(t, good, refresh_token)))
    t.true(Date.now() - begun < 3 * bounded)

    await proxy.pass()
    await until('the node is ready again', async () => (await ready(faulty)) === 200)
    await Promise.all(elsewhere.map(({ body }) => refreshAtLast(t, faulty, body.refresh_token)))
  },
)

testCluster('a network that goes black holds up the end of a node no longer than its requests', async t => {
  const { proxy, nodes, faulty } = await start(t)
  const { refresh_token } = (await signIn(faulty)).body
  proxy.goBlack()
  const asked = refresh(faulty, refresh_token)
  await until('the node asks the database', () => proxy.swallowed() > 0)
  const begun = Date.now()
  const code = await nodes.nodes[1]!.stop()
  t.true(Date.now() - begun < bounded)
  t.is(code, 0)
  assertUnavailable(t, await asked)
})

testCluster(
  'connections that are cut, and then refused, are 503 with Retry-After; no node ends, and both go on',
  async t => {
    const { proxy, nodes, faulty, good } = await start(t)
    let { refresh_token: token } = (await signIn(faulty)).body
    for (let i = 0; i < 5; i++) {
      proxy.cut()
      token = (await refreshAtLast(t, faulty, token)).body.refresh_token
    }
    proxy.refuse()
    await until('the node has noticed', async () => (await ready(faulty)) === 503)
    assertUnavailable(t, await refresh(faulty, token))
    assertUnavailable(t, await signIn(faulty))
    t.is((await signIn(good)).status, 200)
    await proxy.pass()
    t.is((await refreshAtLast(t, faulty, token)).status, 200)
    t.true(nodes.nodes.every(({ child }) => child.exitCode === null))
  },
)

testCluster('the limit of connections is reached: 503, never invalid_grant, and it heals (53300)', async t => {
  t.timeout(240_000)
  const own = await startPrimary(t)
  const nodes = await startNodes(t, [own.url, own.url], { LATCHKEY_SESSION_LIMIT: '10000' })
  const fleet = createFleet(40, account, { pace: 100, isPatient: true })
  const running = fleet.run(nodes.url)
  const more = async (answers: number) => {
    const goal = fleet.history.length + answers
    await until('more answers', () => fleet.history.length >= goal)
  }
  await more(100)

  await own.query(`ALTER ROLE ${role} CONNECTION LIMIT 0`)
  await own.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`)
  await until('devices are told to come again', () => fleet.unavailable.length >= 40)
  // Fewer than the pools of both nodes would like: those that they get are enough to go on.
  await own.query(`ALTER ROLE ${role} CONNECTION LIMIT 3`)
  await more(100)
  await own.query(`ALTER ROLE ${role} CONNECTION LIMIT -1`)
  await more(100)

  fleet.stop()
  await running
  t.deepEqual(fleet.signedOut, [])
  t.deepEqual([...new Set(fleet.unavailable)], [503])
  t.deepEqual(fleet.withoutRetryAfter, [])
  t.is(fleet.unanswered(), 0)
})
