/** Everything that can happen to a database and to the way to it, one after the other in any order, under devices that go on. */
import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { role, startPrimary, testCluster, until } from '../_cluster.ts'
import { brokenPromises, createFleet, refusedRefreshes } from '../_devices.ts'
import { startFaultyProxy } from '../_faulty_proxy.ts'
import { account, send, startNodes } from '../_nodes.ts'

testCluster(
  'promises 1, 4 and 5: after 24 misfortunes of network, database and nodes in any order nobody is signed out',
  async t => {
    t.timeout(600_000)
    const primary = await startPrimary(t)
    const proxies = [await startFaultyProxy(t, primary), await startFaultyProxy(t, primary)]
    const urls = proxies.map(({ port }) => primary.url.replace(`:${primary.port}/`, `:${port}/`))
    const nodes = await startNodes(t, urls, { LATCHKEY_SESSION_LIMIT: '10000' })
    const fleet = createFleet(60, account, { pace: 100, isPatient: true })
    const running = fleet.run(nodes.url)

    /** Each with the number of the node that it is about. Some leave something broken, which the next calm mends. */
    const misfortunes: Record<string, (node: number) => Promise<void> | void> = {
      'a cut': node => proxies[node]!.cut(),
      'a lost answer': node => void proxies[node]!.loseCommitAnswer({ statement: /\b(?:update|into) "?sessions\b/i }),
      'a lost COMMIT': node => void proxies[node]!.loseCommit({ statement: /\b(?:update|into) "?sessions\b/i }),
      'a silent COMMIT': node => void proxies[node]!.loseCommitAnswer({ silence: 'black' }),
      'a black network': node => proxies[node]!.goBlack(),
      'a refusing host': node => proxies[node]!.refuse(),
      'connections ended by an administrator': async () => {
        await primary.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`)
      },
      'statements cancelled by an administrator': async () => {
        await primary.query(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`)
      },
      'a restart of the database': async () => {
        await primary.stop()
        await primary.start()
      },
      'a crash of the database': async () => {
        await primary.kill()
        await primary.start()
      },
      'a table that is locked': async () => {
        await primary.query('BEGIN; LOCK sessions IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1); COMMIT')
      },
      'a node that is killed': async node => {
        await nodes.nodes[node]!.stop('SIGKILL')
        proxies[node]!.disarm()
        await proxies[node]!.pass()
        await nodes.restart(node)
      },
    }
    const names = Object.keys(misfortunes)
    const happened: string[] = []
    for (let i = 0; i < 24; i++) {
      const name = names[randomInt(names.length)]!
      const node = randomInt(2)
      happened.push(`${name} (${node})`)
      await misfortunes[name]!(node)
      await delay(randomInt(500))
      // Two of them may come together.
      if (i % 2 === 1) {
        for (const proxy of proxies) await proxy.pass()
        const goal = fleet.history.length + 100
        await until(`answers after ${happened.slice(-2).join(' and ')}`, () => fleet.history.length >= goal, 120_000)
      }
    }
    for (const proxy of proxies) proxy.disarm()
    for (const { url } of nodes.nodes)
      await until(
        'both nodes are ready',
        async () => (await send(`${url}/health/ready`, { method: 'GET' })).status === 200,
      )
    fleet.stop()
    await running

    t.deepEqual(fleet.signedOut, [], happened.join(', '))
    t.deepEqual(
      [...new Set(fleet.unavailable)].filter(status => status !== 503),
      [],
      happened.join(', '),
    )
    t.deepEqual(fleet.withoutRetryAfter, [])
    const promised = fleet.promisedAt()
    t.true(promised.ended.length > 0)
    t.deepEqual(await brokenPromises(nodes.url, promised), [], happened.join(', '))
    t.deepEqual(await refusedRefreshes(nodes.url, promised.living), [], happened.join(', '))
    t.log(`${fleet.history.length} answers, ${fleet.unavailable.length} of 503`)
    const mistakes = nodes.nodes.flatMap(({ log }) => log.filter(({ level }) => Number(level) >= 50))
    t.deepEqual(mistakes, [], happened.join(', '))
  },
)
