/** Finds the server that takes writes, and says in one line for the operator why there is none. */
import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'
import { ConnectionError, sqlState } from './failure.ts'
import { passwordFromFile } from './password_file.ts'
import { checkServer, type Lineage, lineageOf } from './server_checks.ts'
import { tlsOptions } from './tls.ts'
import { type DatabaseUrl, formatDatabaseUrl, formatHost, type Host } from './url.ts'

/** Seconds after which a connection is replaced, so that none stays with a server that another one has replaced under the same name. */
const maxLifetime = 300
/** Milliseconds without a use: connecting costs both sides some milliseconds. */
const maxIdle = 60_000
/** Milliseconds without a packet after which the system asks whether the other side is still there. */
const keepAliveDelay = 10_000
/** Milliseconds that a connection gets to end in order. */
const maxFarewell = 1000

/** `maxStatement`: milliseconds that a statement may take. Counted on this side: a server that is out of reach ends nothing. */
export type Limits = Readonly<{ maxConnections: number; maxStatement: number }>

/** The latest copy of the database that this program has seen. */
export type SeenLineage = { newest?: Lineage | undefined }

/** The driver's pool of connections to one server, which has passed the checks. */
export type Primary = Readonly<{ host: Host; clients: pg.Pool }>

/** 64 bits as text by default: no number of ours has more than 53. */
const int8 = 20
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === int8 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format as 'text'),
} as pg.CustomTypesConfig

/** The driver's, but that no connection stays open longer than it is of use. */
export class Client extends pg.Client {
  readonly #connection = (this as unknown as { connection: EventEmitter & { stream: Duplex } }).connection

  constructor(config: pg.ClientConfig) {
    super(config)
    // Without a password to go on with the driver leaves it to the server, which waits for one for a minute.
    this.#connection.on('error', () => this.#connection.stream.destroy())
  }

  /** Takes leave of the server, which may be out of reach: nobody would tell for a quarter of an hour. */
  override end(): Promise<void>
  override end(callback: (error: Error) => void): void
  override end(callback: (error: Error) => void = () => {}): Promise<void> {
    setTimeout(() => this.#connection.stream.destroy(), maxFarewell).unref()
    return new Promise(resolve =>
      super.end(error => {
        callback(error)
        resolve()
      }),
    )
  }
}

/**
 * Tries the hosts in their order.
 *
 * @param seen is kept up to date. A server that was replaced may come back as it was, and take writes: it is not used again
 * @throws ConnectionError in one line: why each of them cannot be used
 */
export async function findPrimary(url: DatabaseUrl, limits: Limits, seen: SeenLineage): Promise<Primary> {
  const problems: string[] = []
  let cause: unknown
  for (const host of url.hosts) {
    try {
      return await connect(url, host, limits, seen)
    } catch (error) {
      cause = error
      const problem = explain(error, url)
      problems.push(url.hosts.length === 1 ? problem : `${formatHost(host)}: ${problem}`)
    }
  }
  throw new ConnectionError(`cannot use the database ${formatDatabaseUrl(url)}: ${problems.join('; ')}`, { cause })
}

/**
 * Asks all hosts at once for the copy that they have, so that a program that has just started knows the latest of them. A host that does not answer
 * holds this up for as long as connecting to it may take.
 */
export async function lookAtAll(url: DatabaseUrl, limits: Limits, seen: SeenLineage): Promise<void> {
  const ask = async (host: Host) => {
    const { clients } = await connect(url, host, limits, seen)
    await clients.end()
  }
  if (url.hosts.length > 1) await Promise.allSettled(url.hosts.map(ask))
}

function connect(url: DatabaseUrl, host: Host, limits: Limits, seen: SeenLineage): Promise<Primary> {
  return encrypted(url, host, ssl => open(url, host, ssl, limits, seen))
}

/** With what a host has of what `sslmode` takes. */
export async function encrypted<T>(
  url: DatabaseUrl,
  host: Host,
  connect: (ssl: false | ConnectionOptions) => Promise<T>,
): Promise<T> {
  const ssl = tlsOptions(url, host)
  try {
    return await connect(ssl)
  } catch (error) {
    // What `prefer` is: in the clear where the server has nothing else.
    if (ssl === false || url.sslMode !== 'prefer' || !/does not support SSL/.test((error as Error).message)) throw error
    return await connect(false)
  }
}

async function open(
  url: DatabaseUrl,
  host: Host,
  ssl: false | ConnectionOptions,
  { maxConnections, maxStatement }: Limits,
  seen: SeenLineage,
): Promise<Primary> {
  const clients = new pg.Pool({
    ...clientConfig(url, host, ssl, maxStatement),
    Client: Client as unknown as new () => pg.ClientBase,
    max: maxConnections,
    idleTimeoutMillis: maxIdle,
    maxLifetimeSeconds: maxLifetime,
    verify: (client, done) => void verify(client, url, seen).then(done),
  })
  // Until somebody watches it: without a listener an error would end the process.
  clients.on('error', () => {})
  clients.on('connect', client => client.on('error', () => {}))
  try {
    const client = await clients.connect()
    client.release()
    return { host, clients }
  } catch (error) {
    void clients.end()
    throw error
  }
}

/** No `options` and no timeouts of the server among the parameters of a connection: pgbouncer refuses them. */
export function clientConfig(
  url: DatabaseUrl,
  host: Host,
  ssl: false | ConnectionOptions,
  maxStatement: number,
): pg.ClientConfig {
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
async function verify(client: pg.ClientBase, url: DatabaseUrl, seen: SeenLineage): Promise<Error | undefined> {
  try {
    const maxTime = url.connectTimeout * 1000
    const checks = await checkServer(client, maxTime)
    const problems = checks.flatMap(({ problem }) => (problem === undefined ? [] : [`it ${problem}`]))
    if (problems.length > 0) return new ConnectionError(problems.join(', '))
    const { newest } = seen
    const found = await lineageOf(client, maxTime)
    if (found !== undefined && found.system === newest?.system && found.timeline < newest.timeline)
      return new ConnectionError('it has been replaced: another server was promoted since')
    seen.newest = found ?? newest
    return undefined
  } catch (error) {
    return error as Error
  }
}

/** In the words of the operator, who can do something about it. Never has the password. */
export function explain(error: unknown, { user, database }: DatabaseUrl): string {
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
  return message || String(code)
}
