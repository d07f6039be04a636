/** `latchkey serve`: reads settings, opens storage and keys, listens, looks after its data, stops without cutting anybody off. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createAdminApp, createApp } from './app.ts'
import { bootstrap } from './bootstrap.ts'
import { openBrand } from './brand.ts'
import { openBreachedPasswords } from './breached_passwords.ts'
import { createClock } from './clock.ts'
import type { Config } from './config.ts'
import { createDeps } from './deps.ts'
import type { AdminSettings } from './http/admin/admin_endpoints.ts'
import { createServer } from './http/commonjs.ts'
import { type ClosedConnections, connectionLimits, serveWithin } from './http/connections.ts'
import type { MasterSecrets } from './keys/master_secret.ts'
import { secretLead, takeIntoUse } from './keys/secret_use.ts'
import { createLog } from './log.ts'
import { createMailing, createNotifying } from './mailing.ts'
import { createMeasuring } from './metrics/measuring.ts'
import type { Deps } from './oauth/deps.ts'
import type { Observer } from './observer.ts'
import { openKeys, openSigningKeys, readMasterSecrets } from './secret_file.ts'
import { isLoopbackHost } from './setting_values.ts'
import { createSink } from './sink.ts'
import { noteIssuer, warnOfLooseFiles } from './start_notes.ts'
import { openStorage } from './storage/open.ts'
import { formatDatabase } from './storage/setting.ts'
import { lowerPoolPriority, randomBytes } from './system.ts'
import { createThrottle } from './throttle/throttle.ts'
import { createTracing } from './tracing.ts'
import { settleUniqueEmail } from './unique_email.ts'
import { learnHashKinds, startUpkeep } from './upkeep.ts'
import { relyingPartyOf } from './users/factors/relying_party.ts'
import { createPasswords } from './users/password.ts'
import { createDeliveries } from './webhooks/deliveries.ts'
import { createSend } from './webhooks/send.ts'

/** In milliseconds. What is slower is an attack or a dead connection: it is answered with 408 and closed. */
const httpLimits = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  /** How often slow requests are looked for. */
  connectionsCheckingInterval: 1000,
  /** Longer than a load balancer's, ten minutes at Google's, so that it is never this side that closes under a request. */
  keepAliveTimeout: 620_000,
}

/** Milliseconds that learning how long imported hashes take may hold up a start. */
const maxLearning = 1000

/** Seconds from SIGTERM on in which a load balancer that asks whether this server is ready hears that it is not, and goes elsewhere. */
const defaultDrain = 5
/** Milliseconds that requests under way get to finish after that. */
const drainLimit = 10_000
/** Milliseconds that the last lines of the log get to be written. */
const lastLinesLimit = 1000

/**
 * Serves until SIGTERM, SIGINT or SIGHUP. Resolves when everything is answered and closed.
 *
 * @param isOrphan asked once a second where it matters: whether who started this server is gone
 */
export async function serve(config: Config, isOrphan?: () => boolean): Promise<void> {
  const brand = openBrand(config.brand)
  const { log, flush } = createLog(config.logLevel)
  const isBreached = openBreachedPasswords(config, log)
  // Not loaded where nobody can ask for them.
  const metrics = config.admin && (await import('./metrics/metrics.ts')).createMetrics(true)
  const storage = await openDatabase(config, metrics?.observer.committed, log)
  const stop = waitForSignals(isOrphan)
  const server = createServer(httpLimits)
  const admin = config.admin && { server: createServer(httpLimits), ...config.admin }
  let isStopped = false
  try {
    await settleUniqueEmail(storage, config, log)
    const clock = await createClock(storage.databaseTime, log)
    const { now } = clock
    const read = await readMasterSecrets(config.secret, storage)
    // Who has the database for itself has nobody to wait for.
    const lead = storage.shared === undefined ? 0 : secretLead
    warnOfLooseFiles(config, log)
    // The first hash is computed while the keys are opened.
    const [keys, passwords] = await Promise.all([
      openSigningKeys(storage, read, config.signingAlg),
      createPasswords(config.passwordHashing, randomBytes, isBreached),
    ])
    // The first hash has started the pool.
    lowerPoolPriority()
    // Not before the keys could be opened: a secret that was put there by mistake is in use nowhere.
    let inUse = await takeIntoUse({ storage, now }, read, lead)
    const throttle = await createThrottle(config.throttle, {
      storage,
      get secrets(): MasterSecrets {
        return [inUse.oldest]
      },
      now,
      randomBytes,
    })
    const learning = learnHashKinds({ storage, passwords }, '').catch(error =>
      log.warn({ err: error }, 'how long some stored password hashes take is not known'),
    )
    // What is left is learnt beside the first requests: refusals wait for the limit until then.
    await Promise.race([learning, delay(maxLearning, undefined, { ref: false })])
    await listen(server, config)

    // Nothing is awaited until there is a listener: a request that comes before it would never be answered.
    const url = urlOf(server, config.host)
    const issuer = config.issuer ?? `http://localhost:${(server.address() as AddressInfo).port}`
    const relyingParty = relyingPartyOf(issuer, config.passkeys)
    const oauth = { ...config.oauth, issuer, audience: [config.audience ?? issuer], relyingParty }
    const tracing = createTracing()
    const deps = createDeps({
      config: oauth,
      brand,
      storage: tracing?.storage(storage) ?? storage,
      secrets: () => inUse.secrets,
      keys,
      passwords: tracing?.passwords(passwords) ?? passwords,
      throttle,
      privateJwksUris: config.privateJwksUris,
      now,
      randomBytes,
      ...(metrics && { observer: metrics.observer, metrics: metrics.text }),
    })
    const mails = config.mail && (await createMailing(deps, config.mail, log.warn.bind(log)))
    const notices = config.mail && (await createNotifying(deps, config.notices, log.warn.bind(log)))
    const measuring = metrics && createMeasuring(storage, { now, hasMail: oauth.hasMail })
    const deliveries = createDeliveries(deps, createSend(config.privateWebhooks), log.warn.bind(log))
    const { keyRotation, corsOrigins, trustProxy, docs } = config
    metrics?.watch({ ...deps, keyRotation, known: measuring!.known, deliveries: deliveries.state })
    const app = createApp(deps, {
      trace: tracing?.middleware,
      log,
      corsOrigins,
      trustProxy,
      docs,
      isStopping: stop.isRequested,
    })
    const onClosed = tellClosed(log)
    serveWithin(connectionLimits('public'), server, app.callback(), onClosed)
    if (admin !== undefined) {
      const options = { trace: tracing?.middleware, log, trustProxy }
      const adminApp = await createAdmin(deps, options, { ...config, isStopping: stop.isRequested })
      serveWithin(connectionLimits('admin'), admin.server, adminApp.callback(), onClosed)
      await listen(admin.server, admin)
      if (!isLoopbackHost(admin.host))
        log.warn({ host: admin.host }, 'the admin API can be reached from other machines (LATCHKEY_ADMIN_HOST)')
    }

    const lastIssuer = await storage.findLastIssuer()
    if (config.bootstrap) {
      const terminal = process.stderr.isTTY ? createSink(process.stderr, () => {}) : undefined
      const { client, file } = await bootstrap(deps, config, { url, hasServed: lastIssuer !== undefined }, terminal)
      if (client !== undefined) log.info({ client }, 'first start: made a public client')
      if (file !== undefined) log.info({ file }, 'first start: the password of the user admin is in this file')
    }
    // After it: a start that was interrupted before makes it up.
    await noteIssuer(storage, config, issuer, lastIssuer, log)
    if (relyingParty === undefined)
      log.info({ issuer }, 'there are no passkeys: the host of the issuer is an IP address')
    const adminUrl = admin && urlOf(admin.server, admin.host)
    log.info({ url, issuer, adminUrl, database: formatDatabase(config.database) }, 'listening')

    const reloadSecrets = async () => {
      const read = await readMasterSecrets(config.secret, storage)
      // Before they are used: a secret that was put there by mistake must sign nobody out.
      await openKeys(await storage.listSigningKeys(), read)
      inUse = await takeIntoUse({ storage, now }, read, lead)
      return inUse.secrets
    }
    const given = { reloadSecrets, adjustClock: clock.adjust, measure: measuring?.step, deliveries, mails, notices }
    const upkeep = startUpkeep(deps, config, given, log)
    const signal = await stop.requested
    const listeners = [server, ...(admin ? [admin.server] : [])]
    // Ctrl-C and a terminal that is closed come from a person, who has no load balancer to wait for.
    const seconds = signal === 'SIGTERM' ? (config.drain ?? (process.stdin.isTTY ? 0 : defaultDrain)) : 0
    log.info({ signal, drain: seconds }, 'stopping')
    for (const one of listeners) closeAfterAnswers(one)
    await Promise.race([delay(seconds * 1000, undefined, { ref: false }), stop.urged])
    await Promise.all(listeners.map(one => drain(one, stop.urged)))
    await upkeep.stop()
    await Promise.all([throttle.flush(), deps.refusals.flush(true)]).catch(error =>
      log.warn({ err: error }, 'the last failed attempts are forgotten'),
    )
    isStopped = true
  } finally {
    server.close()
    admin?.server.close()
    await storage.close()
    if (isStopped) log.info('stopped')
    await flush(lastLinesLimit)
  }
}

async function openDatabase({ database }: Config, onCommit: Observer['committed'] | undefined, log: Logger) {
  const onReopened = (why: string) => log.warn({ why }, 'database opened again')
  const { storage, migrated, copy } = await openStorage(database, { migrates: true, onCommit, onReopened })
  if (migrated > 0) log.info({ migrated, copy }, 'database migrated')
  return storage
}

/** The app of the second listener. Not loaded where nobody wants it. */
async function createAdmin(deps: Deps, options: Parameters<typeof createAdminApp>[1], settings: AdminSettings) {
  const { adminEndpointsOf } = await import('./http/admin/admin_endpoints.ts')
  return createAdminApp(deps, options, adminEndpointsOf(deps, settings))
}

function listen(server: Server, { host, port }: Readonly<{ host: string; port: number }>): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message
      reject(new Error(`cannot listen on ${host} port ${port}: ${why}`, { cause: error }))
    })
    server.listen(port, host, resolve)
  })
}

/** Once a minute at the most, with all that came together since. */
function tellClosed(log: Logger): (closed: ClosedConnections) => void {
  let untold: Partial<ClosedConnections> = {}
  let toldAt = Number.NEGATIVE_INFINITY
  return closed => {
    for (const reason of Object.keys(closed) as (keyof ClosedConnections)[])
      untold[reason] = (untold[reason] ?? 0) + closed[reason]
    if (performance.now() - toldAt < 60_000) return
    log.warn(untold, 'connections were closed: unread answers, or too many at once')
    toldAt = performance.now()
    untold = {}
  }
}

function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/**
 * @returns when somebody wants the server to stop, and when somebody wants it again, more than a second later: at a terminal both
 *          the shell and npm send what Ctrl-C means
 */
function waitForSignals(isOrphan: (() => boolean) | undefined) {
  const requested = Promise.withResolvers<NodeJS.Signals>()
  const urged = Promise.withResolvers<void>()
  let requestedAt: number | undefined
  const stop = (signal: NodeJS.Signals) => {
    requestedAt ??= performance.now()
    requested.resolve(signal)
    if (performance.now() - requestedAt > 1000) urged.resolve()
  }
  // SIGHUP comes when the terminal is closed.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop)
  if (isOrphan !== undefined) {
    const timer = setInterval(() => {
      if (!isOrphan()) return
      clearInterval(timer)
      stop('SIGHUP')
    }, 1000)
  }
  return { requested: requested.promise, urged: urged.promise, isRequested: () => requestedAt !== undefined }
}

/** From now on each connection ends with its next answer. */
function closeAfterAnswers(server: Server): void {
  server.prependListener('request', (_request, response) => response.setHeader('Connection', 'close'))
}

/** Takes no new connection, answers what is under way, and gives up on clients that do not finish, sooner when urged. */
async function drain(server: Server, urged: Promise<void>): Promise<void> {
  const closed = new Promise(resolve => server.close(resolve))
  // Again and again: a connection whose answer was under way becomes idle, and its client may never close it.
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  const impatience = setTimeout(() => server.closeAllConnections(), drainLimit)
  void urged.then(() => server.closeAllConnections())
  await closed
  clearInterval(idle)
  clearTimeout(impatience)
}
