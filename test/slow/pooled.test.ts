/** Behind pgbouncer in transaction mode, as Debian has it, everything works: each transaction may be on another connection. */
import { sharedPrimary, startPgbouncer, testPooled, until } from '../_cluster.ts'
import { brokenPromises, createFleet, refusedRefreshes } from '../_devices.ts'
import { account, apiSecret, logout, me, refresh, revoke, send, signIn, startNodes } from '../_nodes.ts'

const primary = sharedPrimary()

testPooled(
  'two nodes behind pgbouncer with few connections: sign-in, refresh, logout, sessions and commands work',
  async t => {
    t.timeout(240_000)
    const { port, createDatabase } = await primary()
    const direct = await createDatabase()
    const pooler = await startPgbouncer(t, { port }, { default_pool_size: 3 })
    const url = direct.replace(`:${port}/`, `:${pooler.port}/`)
    const nodes = await startNodes(t, [url, url], { LATCHKEY_SESSION_LIMIT: '10000', LATCHKEY_THROTTLE: 'on' })

    const phone = (await signIn(nodes.url)).body
    const tablet = (await signIn(nodes.url)).body
    const next = (await refresh(nodes.url, phone.refresh_token)).body
    t.is((await refresh(nodes.url, phone.refresh_token)).body.refresh_token, next.refresh_token)
    const list = await send(`${nodes.url}/sessions`, { method: 'GET', bearer: String(next.access_token) })
    t.is((list.body.sessions as unknown[]).length, 2)
    const introspected = await send(`${nodes.url}/introspect`, {
      form: { client_id: 'api', client_secret: apiSecret, token: String(next.access_token) },
    })
    t.is(introspected.body.active, true)
    t.is((await signIn(nodes.url, { ...account, password: 'wrong' })).body.error, 'invalid_grant')
    t.is((await logout(nodes.url, tablet.access_token)).status, 200)
    t.is(await me(nodes.url, tablet.access_token), 401)
    t.is((await revoke(nodes.url, next.refresh_token)).status, 200)
    t.is((await refresh(nodes.url, next.refresh_token)).body.error, 'invalid_grant')
    await nodes.cli(['user', 'add', 'bob', '--password-stdin'], account.password)
    t.is((await signIn(nodes.url, { ...account, username: 'bob' })).status, 200)
    await nodes.cli(['user', 'list'])
    await nodes.cli(['key', 'rotate'])

    const fleet = createFleet(40, account, { pace: 20, isPatient: true })
    const running = fleet.run(nodes.url)
    await until('1000 answers', () => fleet.history.length >= 1000, 120_000)
    fleet.stop()
    await running
    t.deepEqual([fleet.signedOut, fleet.unavailable, fleet.unanswered()], [[], [], 0])
    t.deepEqual(await brokenPromises(nodes.url, fleet.promisedAt()), [])
    t.deepEqual(await refusedRefreshes(nodes.url, fleet.promisedAt().living), [])
  },
)
