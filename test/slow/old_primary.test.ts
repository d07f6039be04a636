/** A server that was replaced comes back as it was. */
import { openDatabase } from '../../src/storage/postgres/database.ts'
import { parseDatabaseUrl } from '../../src/storage/postgres/url.ts'
import { role, startPrimary, startStandby, testCluster, until, urlOf } from '../_cluster.ts'

testCluster(
  'an old primary that comes back and takes writes is not used again, also when all connections are lost',
  async t => {
    const primary = await startPrimary(t)
    const standby = await startStandby(t, primary)
    const url = parseDatabaseUrl(urlOf(primary.address, standby.address), {})
    if ('problem' in url) throw new Error(url.problem)
    const { write, close } = await openDatabase(url, { migrates: true })
    t.teardown(close)
    const port = () =>
      write(async ({ $client }) => (await $client.query('SELECT inet_server_port() AS port')).rows[0].port)
    t.is(await port(), primary.port)

    await primary.stop()
    await standby.promote()
    await until('the new one is used', async () => (await port().catch(() => undefined)) === standby.port)
    await primary.start()
    for (let i = 0; i < 3; i++) {
      await standby.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`)
      await until('there is a connection again', async () => (await port().catch(() => undefined)) !== undefined)
      t.is(await port(), standby.port)
    }
    await standby.stop()
    // Better nobody than one that does not know what was answered since.
    await t.throwsAsync(port(), { message: /cannot be used/ })
    await standby.start()
    await until('the new one is used again', async () => (await port().catch(() => undefined)) === standby.port)
  },
)
