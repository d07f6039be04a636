/**
 * The primary goes away in the middle of refreshing devices, and a standby is promoted: for some time everybody is told to come again (503),
 * then all go on, and nobody was signed out (design, section 3). Two nodes with both hosts in the URL, as docs/postgresql.md has it.
 */
import type { ExecutionContext } from 'ava'
import {
  makeSynchronous,
  type Postgres,
  role,
  startPgbouncer,
  startPrimary,
  startStandby,
  testCluster,
  testPooled,
  until,
  urlOf,
} from '../_cluster.ts'
import { brokenPromises, createFleet, refusedRefreshes } from '../_devices.ts'
import { type FaultyProxy, startFaultyProxy } from '../_faulty_proxy.ts'
import { account, refresh, send, signIn, startNodes } from '../_nodes.ts'

/** Devices by the retry rule behind the round-robin proxy. Each of them also signs out after five refreshes, and in again. */
async function startFleet(t: ExecutionContext, urls: readonly string[], size: number) {
  const nodes = await startNodes(t, urls, { LATCHKEY_SESSION_LIMIT: '10000' })
  const fleet = createFleet(size, account, { pace: 400, isPatient: true })
  const running = fleet.run(nodes.url)
  return {
    nodes,
    fleet,
    /** Waits for so many more answers that promise something. */
    async more(answers: number) {
      const goal = fleet.history.length + answers
      await until(`${answers} more answers`, () => fleet.history.length >= goal, 120_000)
    },
    async assertNothingLost() {
      fleet.stop()
      await running
      t.deepEqual(fleet.signedOut, [])
      t.deepEqual([...new Set(fleet.unavailable)], [503])
      t.deepEqual(fleet.withoutRetryAfter, [])
      t.is(fleet.unanswered(), 0, 'a node has ended connections')
      const promised = fleet.promisedAt()
      t.true(promised.ended.length > 0)
      t.deepEqual(await brokenPromises(nodes.url, promised), [])
      t.deepEqual(await refusedRefreshes(nodes.url, promised.living), [])
    },
  }
}

/** Whether anything was written about sessions. */
async function stateOf(postgres: Postgres): Promise<unknown> {
  const [row] = await postgres.query(
    'SELECT md5(string_agg(s::text, chr(10) ORDER BY id)) AS sessions, (SELECT count(*)::int FROM audit_events) AS events FROM sessions s',
  )
  return row
}

for (const [how, isSynchronous, end, comeBack] of [
  ['stopped and its standby promoted', false, ({ stop }, _) => stop(), ({ start }, _) => start()],
  ['killed and its synchronous standby promoted', true, ({ kill }, _) => kill(), ({ start }, _) => start()],
  [
    'lost in a black network and its synchronous standby promoted',
    true,
    (_, proxy) => proxy.goBlack(),
    (_, proxy) => proxy.pass(),
  ],
] as const satisfies [string, boolean, Misfortune, Misfortune][]) {
  testCluster(`the primary is ${how} under 200 refreshing devices: only 503s, and all promises hold`, async t => {
    t.timeout(300_000)
    const primary = await startPrimary(t)
    const standby = await startStandby(t, primary)
    if (isSynchronous) await makeSynchronous(primary)
    const proxy = await startFaultyProxy(t, primary)
    const url = urlOf(`127.0.0.1:${proxy.port}`, standby.address)
    const { nodes, fleet, more, assertNothingLost } = await startFleet(t, [url, url], 200)
    await more(600)

    await end(primary, proxy)
    await until('devices are told to come again', () => fleet.unavailable.length >= 50)
    await standby.promote()
    await more(600)
    t.true(nodes.counts.every(count => count > 300))

    // It comes back as it was: it takes writes, and nobody may write there.
    await comeBack(primary, proxy)
    const before = await stateOf(primary)
    await standby.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`)
    await more(400)
    await assertNothingLost()
    t.deepEqual(await stateOf(primary), before)
  })
}

type Misfortune = (primary: Postgres, proxy: FaultyProxy) => unknown

testPooled(
  'behind a pooler the primary comes back as a standby: nodes leave it for the one that takes writes',
  async t => {
    t.timeout(240_000)
    const primary = await startPrimary(t)
    const standby = await startStandby(t, primary)
    const pooler = await startPgbouncer(t, primary)
    const url = urlOf(pooler.address, standby.address)
    const { fleet, more, assertNothingLost } = await startFleet(t, [url, url], 40)
    await more(200)

    // The connections to the pooler stay, and what is behind them refuses every write.
    await primary.stop()
    await primary.startAsStandby()
    await until('devices are told to come again', () => fleet.unavailable.length >= 20)
    await standby.promote()
    await more(200)
    await assertNothingLost()
  },
)

testCluster('a synchronous standby is gone: commits that are not known to be safe are 503 (WARNING 01000)', async t => {
  t.timeout(240_000)
  const primary = await startPrimary(t)
  const standby = await startStandby(t, primary)
  await makeSynchronous(primary)
  const nodes = await startNodes(t, [primary.url])
  const first = (await signIn(nodes.url)).body
  const second = (await signIn(nodes.url)).body
  await standby.stop()

  // An administrator ends the wait of the one; the other waits until the node gives up.
  const [cancelled] = await Promise.all([refresh(nodes.url, first.refresh_token), cancelWaiting(primary)])
  const begun = Date.now()
  const waited = await refresh(nodes.url, second.refresh_token)
  t.true(Date.now() - begun < 60_000)

  for (const { status, body, retryAfter } of [cancelled, waited]) {
    t.deepEqual([status, body.error], [503, 'temporarily_unavailable'])
    t.regex(retryAfter ?? '', /^[1-9]\d?$/)
  }
  await standby.start()
  for (const { refresh_token } of [first, second]) {
    await until('the retry is answered', async () => {
      const { status } = await refresh(nodes.url, refresh_token)
      t.true(status === 200 || status === 503)
      return status === 200
    })
  }
  t.is((await send(`${nodes.url}/health/ready`, { method: 'GET' })).status, 200)
})

/** Ends every wait for the standby until one has been ended. */
async function cancelWaiting(primary: Postgres): Promise<void> {
  await until('a commit waits for its standby', async () => {
    const rows = await primary.query(
      `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'latchkey'`,
    )
    return rows.length > 0
  })
}

testCluster(
  'what an asynchronous standby has not got is lost with the primary: refreshes heal, and nobody is signed out',
  async t => {
    t.timeout(240_000)
    const primary = await startPrimary(t)
    const standby = await startStandby(t, primary)
    const url = urlOf(primary.address, standby.address)
    const nodes = await startNodes(t, [url, url])
    const devices = await Promise.all(
      Array.from({ length: 12 }, async () => (await signIn(nodes.url)).body.refresh_token),
    )
    const following = 'SELECT count(*)::int AS n FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()'
    await until('the standby has all sign-ins', async () => (await primary.query(following))[0]!.n === 1)

    await standby.stop()
    for (let i = 0; i < 3; i++) {
      const answers = await Promise.all(devices.map(token => refresh(nodes.url, token)))
      devices.splice(0, devices.length, ...answers.map(({ body }) => body.refresh_token))
    }
    await primary.kill()
    await standby.start()
    await standby.promote()

    for (const token of devices) {
      await until('a refresh works again', async () => {
        const { status, body } = await refresh(nodes.url, token)
        t.true(status === 200 || status === 503, JSON.stringify(body))
        return status === 200
      })
    }
    const healed = await standby.query(`SELECT count(*)::int AS n FROM audit_events WHERE type = 'session.healed'`)
    t.deepEqual(healed, [{ n: devices.length }])
  },
)
