/** A server that was replaced comes back as it was: it takes writes, stands first in the URL, and knows nothing of what was answered since. */
import type { ExecutionContext } from 'ava'
import { openDatabase } from '../../src/storage/postgres/database.ts'
import { parseDatabaseUrl } from '../../src/storage/postgres/url.ts'
import { role, startPrimary, startStandby, testCluster, until, urlOf } from '../_cluster.ts'

/** As one node opens it. @returns the port of the server that a transaction is on */
async function openPort(t: ExecutionContext, text: string) {
  const url = parseDatabaseUrl(text, {})
  if ('problem' in url) throw new Error(url.problem)
  const { write, close } = await openDatabase(url, { migrates: true })
  t.teardown(close)
  return () =>
    write(async ({ $client }) => (await $client.query('SELECT inet_server_port() AS port')).rows[0].port as number)
}

testCluster(
  'an old primary is not used again, nor by a node that starts, also when all connections are lost',
  async t => {
    const primary = await startPrimary(t)
    const standby = await startStandby(t, primary)
    const url = urlOf(primary.address, standby.address)
    const port = await openPort(t, url)
    t.is(await port(), primary.port)

    await primary.stop()
    await standby.promote()
    await until('the new one is used', async () => (await port().catch(() => undefined)) === standby.port)
    await primary.start()
    for (let i = 0; i < 3; i++) {
      await standby.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`)
      // A connection may still answer once before it ends.
      await until('there are connections again', async () => {
        const found = await port().catch(() => undefined)
        t.not(found, primary.port)
        return found === standby.port
      })
    }
    const newcomer = await openPort(t, url)
    t.is(await newcomer(), standby.port)

    await standby.stop()
    // Better nobody than one that does not know what was answered since.
    await t.throwsAsync(port(), { message: /cannot be used/ })
    await standby.start()
    await until('the new one is used again', async () => (await port().catch(() => undefined)) === standby.port)
  },
)
