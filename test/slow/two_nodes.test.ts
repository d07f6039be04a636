/** Nodes on one database, each a process of its own, behind a proxy that hands requests to them in turn: what only several of them can break. */
import { createHash } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import { sharedPrimary, testCluster, until } from '../_cluster.ts'
import { brokenPromises, createFleet, refusedRefreshes } from '../_devices.ts'
import { account, clusterEnvironment, logout, me, refresh, send, signIn, startNodes } from '../_nodes.ts'
import { startProcess } from '../_process.ts'

const primary = sharedPrimary()

async function start(t: ExecutionContext, extra: Record<string, string> = {}) {
  t.timeout(240_000)
  const { createDatabase } = await primary()
  const url = await createDatabase()
  return startNodes(t, [url, url], extra)
}

testCluster('promise 1: 100 refreshes with one token at once, at two nodes in turn, have one successor', async t => {
  const { url, counts, nodes } = await start(t)
  let token = (await signIn(url)).body.refresh_token
  for (let round = 0; round < 5; round++) {
    const before = [...counts]
    const answers = await Promise.all(Array.from({ length: 100 }, () => refresh(url, token)))

    t.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
    const successors = [...new Set(answers.map(({ body }) => body.refresh_token))]
    t.is(successors.length, 1)
    t.true(counts.every((count, index) => count - before[index]! === 50))
    token = successors[0]
  }
  for (const node of nodes) t.is((await refresh(node.url, token)).status, 200)
})

testCluster('a session that ends at one node has ended at the other, at once', async t => {
  const { nodes } = await start(t)
  const [a, b] = nodes.map(({ url }) => url) as [string, string]
  for (const [here, there] of [
    [a, b],
    [b, a],
  ] as const) {
    const { access_token, refresh_token } = (await signIn(here)).body
    t.is(await me(there, access_token), 200, 'and an access token of one node is one at the other')
    t.is((await logout(there, access_token)).status, 200)
    t.is(await me(here, access_token), 401)
    t.deepEqual((await refresh(here, refresh_token)).body.error, 'invalid_grant')
  }
})

testCluster('promises 4 and 5: a node is killed under load, again and again, and nobody is signed out', async t => {
  const nodes = await start(t, { LATCHKEY_SESSION_LIMIT: '10000' })
  const fleet = createFleet(40, account, { pace: 50, isPatient: true })
  const running = fleet.run(nodes.url)
  for (let crash = 0; crash < 6; crash++) {
    const goal = fleet.history.length + 100 + 17 * crash
    await until('more answers', () => fleet.history.length >= goal)
    const index = crash % 2
    await nodes.nodes[index]!.stop('SIGKILL')
    // Half of the requests still meet a node.
    const without = fleet.history.length + 40
    await until('answers of the other node', () => fleet.history.length >= without)
    await nodes.restart(index)
  }
  fleet.stop()
  await running

  t.true(fleet.unanswered() > 0)
  t.deepEqual(fleet.unavailable, [])
  t.deepEqual(fleet.signedOut, [])
  const promised = fleet.promisedAt()
  t.true(promised.ended.length > 0)
  t.deepEqual(await brokenPromises(nodes.url, promised), [])
  t.deepEqual(await refusedRefreshes(nodes.url, promised.living), [])
})

testCluster(
  'five nodes that start at once on an empty database: one bootstrap, one signing key, and all serve',
  async t => {
    t.timeout(240_000)
    const { createDatabase, query } = await primary()
    const url = await createDatabase()
    const environment = clusterEnvironment(t, url, { LATCHKEY_BOOTSTRAP: 'on' })
    const nodes = await Promise.all(Array.from({ length: 5 }, () => startProcess(t, environment)))

    const keySets = await Promise.all(
      nodes.map(async ({ url }) => (await send(`${url}/.well-known/jwks.json`, { method: 'GET' })).body),
    )
    const counts = 'SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM clients) AS clients'
    t.deepEqual(await query(counts, [], new URL(url).pathname.slice(1)), [{ users: '1', clients: '1' }])
    t.is((keySets[0]!.keys as unknown[]).length, 1)
    for (const keySet of keySets) t.deepEqual(keySet, keySets[0])
    for (const { url } of nodes) t.is((await send(`${url}/health/ready`, { method: 'GET' })).status, 200)
  },
)

testCluster('commands beside running nodes count at all of them: user, session, client, key', async t => {
  const { nodes, cli } = await start(t)
  const urls = nodes.map(({ url }) => url)
  const tokens = await Promise.all(urls.map(async url => (await signIn(url)).body))
  const other = (await signIn(urls[0]!)).body

  const sid = JSON.parse(Buffer.from(String(other.access_token).split('.')[1]!, 'base64url').toString()).sid
  await cli(['session', 'revoke', sid])
  for (const url of urls) t.is((await refresh(url, other.refresh_token)).body.error, 'invalid_grant')
  for (const url of urls) t.is(await me(url, tokens[0]!.access_token), 200)

  await cli(['user', 'disable', account.username])
  for (const url of urls) {
    t.is((await signIn(url)).status, 400)
    for (const { refresh_token } of tokens) t.is((await refresh(url, refresh_token)).body.error, 'invalid_grant')
  }
  await cli(['user', 'enable', account.username])
  for (const url of urls) t.is((await signIn(url)).status, 200)

  await cli(['client', 'disable', 'app'])
  for (const url of urls) t.is((await signIn(url)).body.error, 'invalid_client')
  await cli(['client', 'enable', 'app'])

  await cli(['key', 'rotate'])
  const digests = async () => {
    const sets = await Promise.all(
      urls.map(async url => (await send(`${url}/.well-known/jwks.json`, { method: 'GET' })).body),
    )
    return sets.map(set => [
      (set.keys as unknown[]).length,
      createHash('sha256').update(JSON.stringify(set)).digest('hex'),
    ])
  }
  await until('both nodes publish the new key', async () => {
    const [first, second] = await digests()
    return first![0] === 2 && first![1] === second![1]
  })
})
