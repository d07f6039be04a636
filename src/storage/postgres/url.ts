/**
 * What a `postgres://` URL says, read as libpq reads it (PostgreSQL documentation, "Connection URIs" and "Parameter Key Words"). Pure: opens
 * no file and no connection. What it refuses it refuses in words that never repeat the text, which may hold a password.
 */
import { isIP } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** One server. A name that begins with a slash is the folder of a Unix socket. */
export type Host = Readonly<{ name: string; port: number }>

/** How strictly a connection is encrypted, in libpq's words. Its `allow` is not among them: nobody wants it. */
const sslModes = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof sslModes)[number]

export type DatabaseUrl = Readonly<{
  hosts: readonly Host[]
  database: string
  user: string
  /** Undefined: it is looked for in the password file. */
  password: string | undefined
  passwordFile: string
  sslMode: SslMode
  /** A file of certificates, or `system` for those that the system trusts. Where it is given, certificates are verified. */
  sslRootCert: string | undefined
  /** Files of the client's own certificate and key. */
  sslCert: string | undefined
  sslKey: string | undefined
  /** Seconds that connecting to one host may take. */
  connectTimeout: number
  applicationName: string
}>

type Environment = Readonly<Record<string, string | undefined>>

const maxLength = 4096
const maxHosts = 16
const defaultPort = 5432
/** Seconds: a host that swallows packets must not hold up the search for the one that takes writes, nor a request. */
const defaultConnectTimeout = 3
const maxConnectTimeout = 10

const parameters = [
  'host',
  'port',
  'user',
  'password',
  'dbname',
  'passfile',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'connect_timeout',
  'application_name',
  'target_session_attrs',
] as const
type Parameter = (typeof parameters)[number]
type Given = Partial<Record<Parameter, string>>

/** Says in one sentence what is wrong, without the text. */
class Problem extends Error {}

export function isPostgresUrl(text: string): boolean {
  return /^postgres(?:ql)?:/.test(text)
}

/**
 * @param env `PGPASSWORD`, `PGPASSFILE`, `PGSSLMODE` and `PGSSLROOTCERT` count where the URL says nothing, as in libpq
 * @returns what the URL says, or in one sentence what is wrong with it, without its text
 */
export function parseDatabaseUrl(text: string, env: Environment): DatabaseUrl | Readonly<{ problem: string }> {
  try {
    return read(text, env)
  } catch (error) {
    if (error instanceof Problem) return { problem: error.message }
    throw error
  }
}

/** For logs and messages: without the password and the parameters. */
export function formatDatabaseUrl({ user, hosts, database }: DatabaseUrl): string {
  return `postgres://${encodeURIComponent(user)}@${hosts.map(formatHost).join(',')}/${encodeURIComponent(database)}`
}

/** The port only where it is not the usual one. */
export function formatHost({ name, port }: Host): string {
  const written = isIP(name) === 6 ? `[${name}]` : name.startsWith('/') ? encodeURIComponent(name) : name
  return port === defaultPort ? written : `${written}:${port}`
}

export function isSocket({ name }: Host): boolean {
  return name.startsWith('/')
}

function read(text: string, env: Environment): DatabaseUrl {
  if (text.length > maxLength) throw new Problem(`it is longer than ${maxLength} characters`)
  const given = readParts(text)
  const user = given.user ?? ''
  if (user === '') throw new Problem('it names no user')
  const sslRootCert = given.sslrootcert || env.PGSSLROOTCERT || undefined
  if (given.target_session_attrs !== undefined && !/^(?:read-write|primary)$/.test(given.target_session_attrs))
    throw new Problem(
      'target_session_attrs can only be read-write or primary: the host that takes writes is always found',
    )
  if ((given.sslcert === undefined) !== (given.sslkey === undefined))
    throw new Problem('sslcert and sslkey only go together')
  return {
    hosts: readHosts(given.host ?? '', given.port ?? ''),
    database: given.dbname || user,
    user,
    password: given.password || env.PGPASSWORD || undefined,
    passwordFile: given.passfile || env.PGPASSFILE || join(homedir(), '.pgpass'),
    sslMode: readSslMode(given.sslmode || env.PGSSLMODE, sslRootCert),
    sslRootCert,
    sslCert: given.sslcert,
    sslKey: given.sslkey,
    connectTimeout: readConnectTimeout(given.connect_timeout),
    applicationName: given.application_name || 'latchkey',
  }
}

/** The parts of `postgres://user:password@host:port,host:port/database?name=value&…`, decoded. */
function readParts(text: string): Given {
  const match = /^postgres(?:ql)?:\/\/(?:([^@/]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(text)
  if (match === null) throw new Problem('it is not of the form postgres://user:password@host:port/database')
  const [, credentials = '', places = '', database = '', query = ''] = match
  const colon = credentials.indexOf(':')
  const [hosts, ports] = splitPlaces(places)
  const given: Given = {}
  const put = (name: Parameter, encoded: string) => {
    if (encoded !== '') given[name] = decode(encoded)
  }
  put('user', colon < 0 ? credentials : credentials.slice(0, colon))
  put('password', colon < 0 ? '' : credentials.slice(colon + 1))
  put('host', hosts.join(','))
  if (ports.some(port => port !== '')) put('port', ports.join(','))
  put('dbname', database)
  for (const pair of query === '' ? [] : query.split('&')) {
    const [name, value] = readParameter(pair)
    given[name] = value
  }
  return given
}

/** An IPv6 address stands in brackets, which are no part of it. */
function splitPlaces(text: string): [hosts: string[], ports: string[]] {
  const places = text.split(',').map(place => {
    const match = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(.*))?$/.exec(place)
    if (match === null) throw new Problem('one of its hosts is not a name, an address, or an IPv6 address in brackets')
    return match
  })
  return [places.map(([, ip, name]) => ip ?? name ?? ''), places.map(([, , , port]) => port ?? '')]
}

function readParameter(pair: string): [Parameter, string] {
  const [encodedName = '', encodedValue, ...rest] = pair.split('=')
  if (encodedValue === undefined || rest.length > 0)
    throw new Problem('its parameters are not of the form ?name=value&name=value')
  const [name, value] = [decode(encodedName), decode(encodedValue)]
  // What JDBC's URLs say, which libpq knows too.
  if (name === 'ssl' && value === 'true') return ['sslmode', 'require']
  const known = parameters.find(parameter => parameter === name)
  if (known !== undefined) return [known, value]
  // Any other word might be a part of a password that has a question mark.
  const named =
    /^(?:options|channel_binding|gssencmode|keepalives\w{0,9}|sslnegotiation|sslcrl|load_balance_hosts)$/.test(name)
  throw new Problem(
    `it has ${named ? `the parameter ${name}` : 'a parameter'} that is none of ${parameters.join(', ')}`,
  )
}

/** RFC 3986 §2.1. A control character would end a text of the protocol early, and begin another. */
function decode(encoded: string): string {
  let text: string
  try {
    text = decodeURIComponent(encoded)
  } catch {
    throw new Problem('it has a % that is not followed by two hexadecimal digits of UTF-8; a % itself is %25')
  }
  if (/\p{Cc}/u.test(text)) throw new Problem('it has a control character')
  return text
}

function readHosts(hostList: string, portList: string): Host[] {
  const names = hostList.split(',')
  const ports = portList.split(',')
  if (names.length > maxHosts) throw new Problem(`it has more than ${maxHosts} hosts`)
  if (ports.length !== 1 && ports.length !== names.length) throw new Problem('it has not as many ports as hosts')
  return names.map((name, i) => {
    if (name === '') throw new Problem('it names no host, or an empty one')
    if (isIP(name) === 0 && !/^(?:\/.*|[A-Za-z0-9._-]+)$/.test(name))
      throw new Problem(
        'one of its hosts has a character that no name of a host has; in a password, @ is %40, / is %2F, : is %3A',
      )
    return { name, port: readPort(ports.length === 1 ? ports[0]! : ports[i]!) }
  })
}

function readPort(text: string): number {
  if (text === '') return defaultPort
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) throw new Problem('one of its ports is not a number from 1 to 65535')
  return port
}

function readSslMode(text: string | undefined, rootCert: string | undefined): SslMode {
  // Who trusts all that the system trusts has to look at the name too: anybody gets such a certificate for some name.
  const mode = sslModes.find(known => known === (text || (rootCert === 'system' ? 'verify-full' : 'prefer')))
  if (mode === undefined) throw new Problem(`sslmode is none of ${sslModes.join(', ')}`)
  if (rootCert === 'system' && mode !== 'verify-full')
    throw new Problem('sslrootcert=system can only be used with sslmode=verify-full')
  if (mode.startsWith('verify') && rootCert === undefined)
    throw new Problem(`sslmode=${mode} needs sslrootcert=FILE, or sslrootcert=system`)
  return mode
}

function readConnectTimeout(text: string | undefined): number {
  if (text === undefined) return defaultConnectTimeout
  const seconds = /^\d{1,2}$/.test(text) ? Number(text) : 0
  if (seconds < 1 || seconds > maxConnectTimeout)
    throw new Problem(`connect_timeout is not a number of seconds from 1 to ${maxConnectTimeout}`)
  return seconds
}
