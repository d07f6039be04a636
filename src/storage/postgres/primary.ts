/** Finds the server that takes writes, and says in one line for the operator why there is none. */
import pg from 'pg'
import { ConnectionError, sqlState } from './failure.ts'
import { passwordFromFile } from './password_file.ts'
import { checkServer } from './server_checks.ts'
import { tlsOptions } from './tls.ts'
import { type DatabaseUrl, formatDatabaseUrl, formatHost, type Host } from './url.ts'

/** Milliseconds that a statement may take. Counted on this side: a server that is out of reach ends nothing. */
export const maxStatement = 10_000
/** Seconds after which a connection is replaced, so that none stays with a server that another one has replaced under the same name. */
const maxLifetime = 300
/** Milliseconds without a use: connecting costs both sides some milliseconds. */
const maxIdle = 60_000
/** Milliseconds without a packet after which the system asks whether the other side is still there. */
const keepAliveDelay = 10_000

/** The driver's pool of connections to one server, which has passed the checks. */
export type Primary = Readonly<{ host: Host; isEncrypted: boolean; clients: pg.Pool }>

/** 64 bits as text by default: no number of ours has more than 53. */
const int8 = 20
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === int8 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format as 'text'),
} as pg.CustomTypesConfig

/**
 * Tries the hosts in their order.
 *
 * @throws ConnectionError in one line: why each of them cannot be used
 */
export async function findPrimary(url: DatabaseUrl, max: number): Promise<Primary> {
  const problems: string[] = []
  let cause: unknown
  for (const host of url.hosts) {
    try {
      return await connect(url, host, max)
    } catch (error) {
      cause = error
      const problem = explain(error, url)
      problems.push(url.hosts.length === 1 ? problem : `${formatHost(host)}: ${problem}`)
    }
  }
  throw new ConnectionError(`cannot use the database ${formatDatabaseUrl(url)}: ${problems.join('; ')}`, { cause })
}

async function connect(url: DatabaseUrl, host: Host, max: number): Promise<Primary> {
  const ssl = tlsOptions(url, host)
  try {
    return await open(url, host, ssl, max)
  } catch (error) {
    // What `prefer` is: in the clear where the server has nothing else.
    if (ssl === false || url.sslMode !== 'prefer' || !/does not support SSL/.test((error as Error).message)) throw error
    return await open(url, host, false, max)
  }
}

async function open(url: DatabaseUrl, host: Host, ssl: pg.ClientConfig['ssl'] & {}, max: number): Promise<Primary> {
  const clients = new pg.Pool({
    ...clientConfig(url, host, ssl),
    max,
    idleTimeoutMillis: maxIdle,
    maxLifetimeSeconds: maxLifetime,
    verify: (client, done) => void verify(client, url).then(done),
  })
  // Until somebody watches it: without a listener an error would end the process.
  clients.on('error', () => {})
  clients.on('connect', client => client.on('error', () => {}))
  try {
    const client = await clients.connect()
    client.release()
    return { host, isEncrypted: ssl !== false, clients }
  } catch (error) {
    void clients.end()
    throw error
  }
}

/**
 * No `options` and no timeouts among the parameters of a connection: pgbouncer knows none. Nothing is left to the environment that the URL
 * has not been asked for.
 */
export function clientConfig(url: DatabaseUrl, host: Host, ssl: pg.ClientConfig['ssl'] & {}): pg.ClientConfig {
  return {
    host: host.name,
    port: host.port,
    user: url.user,
    database: url.database,
    password: url.password ?? (() => passwordFromFile(url, host)),
    ssl,
    sslnegotiation: 'postgres',
    application_name: url.applicationName,
    connectionTimeoutMillis: url.connectTimeout * 1000,
    query_timeout: maxStatement,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveDelay,
    types,
  }
}

/** Of every new connection: behind a name or a pooler may be another server than before. */
async function verify(client: pg.ClientBase, url: DatabaseUrl): Promise<Error | undefined> {
  try {
    const checks = await checkServer(client, url.connectTimeout * 1000)
    const problems = checks.flatMap(({ problem }) => (problem === undefined ? [] : [`it ${problem}`]))
    return problems.length === 0 ? undefined : new ConnectionError(problems.join(', '))
  } catch (error) {
    return error as Error
  }
}

/** In the words of the operator, who can do something about it. Never has the password. */
function explain(error: unknown, { user, database }: DatabaseUrl): string {
  switch (sqlState(error)) {
    case '28P01':
      return `it refuses the password of ${user}`
    case '3D000':
      return `it has no database ${database}; make it: createdb --encoding=UTF8 --template=template0 ${database}`
    case '53300':
      return 'it has no connection left; see max_connections'
  }
  const { message, code } = error as NodeJS.ErrnoException
  if (code === 'ECONNREFUSED') return 'nothing listens there'
  if (code === 'ENOTFOUND') return 'there is no host of that name'
  if (/connection timeout|timeout expired|Query read timeout/.test(message)) return 'it does not answer'
  return message
}
