/** Looks at a database for the doctor, host by host, and changes nothing. */
import { readMigrations, type SchemaState, schemaState } from './migrate.ts'
import { Client, clientConfig, encrypted, explain } from './primary.ts'
import { checkServer, type ServerCheck } from './server_checks.ts'
import { type DatabaseUrl, formatHost, type Host, isSocket } from './url.ts'

/** Milliseconds. */
const maxStatement = 10_000

export type HostReport = Readonly<{
  host: string
  /** Why it cannot be connected to, in one line; then there is nothing more. */
  problem?: string
  checks: readonly ServerCheck[]
  /** Undefined where nothing leaves this machine. */
  isEncrypted?: boolean
  /** Both undefined where a check failed. */
  schema?: SchemaState
  load?: ServerLoad
}>

export type ServerLoad = Readonly<{
  /** Of all programs and databases. */
  connections: number
  /** Without those that are kept for superusers. */
  maxConnections: number
  /** Seconds since the epoch. */
  clock: number
}>

/** @returns a report for each host of the URL, in its order; the first whose checks have no problem is the one that is used */
export function inspectPostgres(url: DatabaseUrl): Promise<HostReport[]> {
  return Promise.all(url.hosts.map(host => inspectHost(url, host)))
}

async function inspectHost(url: DatabaseUrl, host: Host): Promise<HostReport> {
  const name = formatHost(host)
  let client: Client | undefined
  try {
    const connected = await encrypted(url, host, async ssl => {
      const one = new Client(clientConfig(url, host, ssl, maxStatement))
      one.on('error', () => {})
      await one.connect()
      return { one, isEncrypted: ssl !== false }
    })
    client = connected.one
    const checks = await checkServer(client, url.connectTimeout * 1000)
    const isFit = checks.every(({ problem }) => problem === undefined)
    return {
      host: name,
      checks,
      ...(isLocal(host) ? {} : { isEncrypted: connected.isEncrypted }),
      ...(isFit
        ? { schema: await schemaState({ $client: client }, readMigrations()), load: await readLoad(client) }
        : {}),
    }
  } catch (error) {
    return { host: name, problem: explain(error, url), checks: [] }
  } finally {
    await client?.end()
  }
}

async function readLoad(client: Client): Promise<ServerLoad> {
  const { rows } = await client.query<ServerLoad>(
    `SELECT (SELECT sum(numbackends) FROM pg_stat_database)::integer AS connections,
       current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
         AS "maxConnections", floor(extract(epoch FROM clock_timestamp()))::bigint AS clock`,
  )
  return rows[0]!
}

function isLocal(host: Host): boolean {
  return isSocket(host) || /^(?:localhost|127\.[\d.]+|::1)$/.test(host.name)
}
