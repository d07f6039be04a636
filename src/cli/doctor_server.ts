/** What the doctor finds of PostgreSQL: each host, the tables, and what its nodes share. */
import { type HostReport, inspectPostgres } from '../storage/postgres/inspect.ts'
import { maxConnections } from '../storage/postgres/pool.ts'
import { type DatabaseUrl, formatDatabaseUrl } from '../storage/postgres/url.ts'
import { now } from '../system.ts'
import { type Finding, failed, ok, warning } from './findings.ts'

/** Seconds: what clocks that are set by NTP differ by at most, and what asking takes. */
const clockTolerance = 5

/** @returns findings of the database itself, and of the servers where it is */
export async function examineServer(url: DatabaseUrl): Promise<{ database: Finding[]; place: Finding[] }> {
  const hosts = await inspectPostgres(url)
  const used = hosts.find(isFit)
  const isOne = hosts.length === 1
  const place = hosts.flatMap(host => examineHost(host, isOne, used !== undefined))
  if (used === undefined) {
    const found = `${formatDatabaseUrl(url)} cannot be used`
    return {
      database: [failed('database', found, 'see what is said of each host, or set LATCHKEY_DATABASE_URL')],
      place,
    }
  }
  const database = ok('database', `${formatDatabaseUrl(url)}${isOne ? '' : `, by ${used.host}`}`)
  return {
    database: [database, examineSchema(used)],
    place: [...place, ...examineEncryption(used), ...examineLoad(used)],
  }
}

function isFit({ problem, checks }: HostReport): boolean {
  return problem === undefined && checks.every(check => check.problem === undefined)
}

/** @param isSpare whether another host is fit: then this one may be a standby, or away */
function examineHost({ host, problem, checks }: HostReport, isOne: boolean, isSpare: boolean): Finding[] {
  const say = (check: string, found: string, trouble: string | undefined): Finding => {
    const name = isOne ? check : `${check} (${host})`
    if (trouble === undefined) return ok(name, found)
    return isSpare
      ? warning(name, `it ${trouble}`, 'it is of no help when the other one fails')
      : failed(name, `it ${trouble}`, 'no node starts before that is changed')
  }
  if (problem !== undefined) return [say('server', '', `cannot be connected to: ${problem}`)]
  return checks.map(({ check, found, problem: trouble }) =>
    // What it is for.
    isSpare && found === 'a standby' ? say(check, found, undefined) : say(check, found, trouble),
  )
}

function examineSchema({ schema }: HostReport): Finding {
  if (schema?.kind === 'too_new') return failed('migrations', 'of a newer latchkey', 'run that version')
  if (schema?.kind === 'readable') return ok('migrations', 'of a newer latchkey, which this one works beside')
  if (schema?.kind !== 'pending') return ok('migrations', 'up to date')
  const found = `${schema.count} ${schema.count === 1 ? 'is' : 'are'} missing`
  return warning('migrations', found, 'run latchkey migrate, or start a server, which does it')
}

function examineEncryption({ isEncrypted }: HostReport): Finding[] {
  if (isEncrypted === undefined) return []
  if (isEncrypted) return [ok('encryption', 'TLS')]
  return [
    warning(
      'encryption',
      'everything goes over the network in the clear',
      'add sslmode=verify-full and sslrootcert to LATCHKEY_DATABASE_URL',
    ),
  ]
}

function examineLoad({ load }: HostReport): Finding[] {
  if (load === undefined) return []
  const { connections, maxConnections: most, clock } = load
  const free = most - connections
  const difference = Math.abs(clock - now())
  return [
    free >= maxConnections
      ? ok('connections', `${connections} of ${most} are in use`)
      : warning(
          'connections',
          `${connections} of ${most} are in use`,
          `a node takes up to ${maxConnections}; raise max_connections, or put pgbouncer between`,
        ),
    difference <= clockTolerance
      ? ok('clock of the database', 'the same as here')
      : warning(
          'clock of the database',
          `it is ${difference} seconds from the one here`,
          'set the clocks of all machines by NTP',
        ),
  ]
}
