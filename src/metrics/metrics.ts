/** Metrics in Prometheus' text format. docs/metrics.md names them all. */
import { collectDefaultMetrics, Gauge, Registry } from '@prometheus-io/client'
import { errorCodes } from '../error.ts'
import type { KeyRing } from '../keys/key_ring.ts'
import { deliveryOutcomes, type ObserveRequest, type Observer, refreshOutcomes, signInOutcomes } from '../observer.ts'
import type { Storage } from '../storage/storage.ts'
import type { Passwords } from '../users/password.ts'
import type { DeliveryState } from '../webhooks/deliveries.ts'
import { createCounter, createHistogram } from './counts.ts'
import type { Known } from './measuring.ts'

/** Seconds. OpenTelemetry's for requests, with two more below for a refresh and without what no request takes here. */
const requestBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const commitBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** Writes; one commit has 32 at the most. */
const writeBuckets = [1, 2, 4, 8, 16, 32]

/** What is asked when somebody asks for the metrics: nothing of it waits. */
export type Watched = Readonly<{
  passwords: Pick<Passwords, 'load'>
  storage: Pick<Storage, 'pool'>
  keyRing: Pick<KeyRing, 'keys'>
  /** Seconds after which a signing key is followed by another; 0 for never. */
  keyRotation: number
  known: () => Known
  deliveries: () => DeliveryState
  /** Seconds since the epoch. */
  now: () => number
}>

export type Metrics = Readonly<{
  observer: Observer
  watch: (watched: Watched) => void
  /** All metrics as text. */
  text: () => Promise<string>
}>

/** @param ofProcess whether those of the process, its memory and its event loop are among them: they are the same for all servers in it */
export function createMetrics(ofProcess: boolean): Metrics {
  const registry = new Registry()
  if (ofProcess) collectDefaultMetrics({ register: registry })
  let usable: boolean | undefined
  gauge(registry, 'latchkey_database_usable', 'Whether the database would take a write: 1 or 0.', () =>
    usable === undefined ? undefined : Number(usable),
  )
  return {
    observer: {
      ...createObserver(registry),
      checked(isUsable) {
        usable = isUsable
      },
    },
    watch: watched => watch(registry, watched),
    text: () => registry.metrics(),
  }
}

function createObserver(registry: Registry): Omit<Observer, 'checked'> {
  const counterOf = <Name extends string>(label: string, values: readonly Name[], name: string, help: string) => {
    const series = createCounter(registry, { name, help })
    const counts = Object.fromEntries(values.map(value => [value, series({ [label]: value })]))
    return (value: Name) => counts[value]?.()
  }
  const commitDuration = createHistogram(
    registry,
    { name: 'latchkey_commit_duration_seconds', help: 'How long transactions took, their commit to disk included.' },
    commitBuckets,
  )({})
  const commitWrites = createHistogram(
    registry,
    { name: 'latchkey_commit_writes', help: 'Writes that one transaction committed together.' },
    writeBuckets,
  )({})
  return {
    requests: createRequests(registry),
    refused: counterOf('code', errorCodes, 'latchkey_refusals_total', 'Refused requests by error code.'),
    refreshed: counterOf(
      'outcome',
      refreshOutcomes,
      'latchkey_refresh_total',
      'Presented refresh tokens by what became of them.',
    ),
    signedIn: counterOf(
      'outcome',
      signInOutcomes,
      'latchkey_sign_in_total',
      'Steps of sign-ins by what became of them.',
    ),
    delivered: counterOf(
      'outcome',
      deliveryOutcomes,
      'latchkey_webhook_deliveries_total',
      'Events sent to webhooks by what became of them.',
    ),
    mailed: createMails(registry),
    committed(seconds, writes) {
      commitDuration(seconds)
      commitWrites(writes)
    },
  }
}

/** There are no series before the first mail: most of them never come. */
function createMails(registry: Registry): Observer['mailed'] {
  const series = createCounter(registry, { name: 'latchkey_mails_total', help: 'Mails by what became of them.' })
  const known = new Map<string, () => void>()
  return (purpose, outcome) => {
    const key = `${purpose} ${outcome}`
    const count = known.get(key) ?? series({ purpose, outcome })
    known.set(key, count)
    count()
  }
}

/** The name is that of OpenTelemetry's semantic conventions, which dashboards know. */
function createRequests(registry: Registry): Observer['requests'] {
  const series = createHistogram(
    registry,
    { name: 'http_server_request_duration_seconds', help: 'How long requests took.' },
    requestBuckets,
  )
  const known = new Map<string, ObserveRequest>()
  return (method, route) => {
    const key = `${method} ${route}`
    const existing = known.get(key)
    if (existing !== undefined) return existing
    const byStatus = new Map<number, (seconds: number) => void>()
    const observe: ObserveRequest = (status, seconds) => {
      let one = byStatus.get(status)
      if (one === undefined) {
        one = series({ http_request_method: method, http_route: route, http_response_status_code: String(status) })
        byStatus.set(status, one)
      }
      one(seconds)
    }
    known.set(key, observe)
    return observe
  }
}

function watch(
  registry: Registry,
  { passwords, storage, keyRing, keyRotation, known, deliveries, now }: Watched,
): void {
  const all: readonly (readonly [name: string, help: string, value: () => number | undefined])[] = [
    ['latchkey_password_hashes_running', 'Password hashes under way.', () => passwords.load().running],
    ['latchkey_password_hashes_waiting', 'Password hashes that wait for a core.', () => passwords.load().waiting],
    [
      'latchkey_sessions_live',
      'Live sessions, as the last walk along all of them has found them.',
      () => known().liveSessions,
    ],
    [
      'latchkey_key_next_rotation_timestamp_seconds',
      'When the newest signing key is due to be followed by another.',
      () => {
        const activations = keyRing.keys().map(({ stored }) => stored.activatesAt)
        return keyRotation === 0 || activations.length === 0 ? undefined : Math.max(...activations) + keyRotation
      },
    ],
    [
      'latchkey_webhook_lag_seconds',
      'How long the oldest event has waited that a webhook has not got yet.',
      () => deliveries().lag,
    ],
    ['latchkey_webhooks_failed', 'Webhooks that were given up.', () => deliveries().failed],
    ['latchkey_mails_waiting', 'Mails that wait to be sent.', () => known().mails?.count],
    [
      'latchkey_mail_lag_seconds',
      'How long the oldest mail has waited that is not sent yet.',
      () => known().mails && Math.max(0, now() - (known().mails?.oldestAt ?? now())),
    ],
    ['latchkey_database_size_bytes', 'Size of the database.', () => known().size?.database],
    ['latchkey_database_wal_size_bytes', 'Size of the write-ahead log beside a SQLite file.', () => known().size?.wal],
    ['latchkey_database_free_bytes', 'Free space where the file of a SQLite database is.', () => known().size?.free],
    ['latchkey_database_connections', 'Connections to PostgreSQL in use.', () => storage.pool?.().inUse],
    [
      'latchkey_database_connections_waiting',
      'Requests that wait for a connection to PostgreSQL.',
      () => storage.pool?.().waiting,
    ],
  ]
  for (const [name, help, value] of all) gauge(registry, name, help, value)
}

/** @param value undefined as long as it is not known: then there is no such series */
function gauge(registry: Registry, name: string, help: string, value: () => number | undefined): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      const known = value()
      if (known === undefined) this.remove()
      else this.set(known)
    },
  })
}
