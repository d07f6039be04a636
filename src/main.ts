/** `latchkey serve`: reads settings, opens storage and keys, listens, looks after its data, stops without cutting anybody off. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import pino, { type Logger } from 'pino'
import { createApp } from './app.ts'
import { bootstrap } from './bootstrap.ts'
import type { Config } from './config.ts'
import { createRemoteJwks } from './http/remote_jwks.ts'
import { createThrottle } from './oauth/attempts.ts'
import type { Deps } from './oauth/deps.ts'
import { createKeyRing, keyState } from './oauth/keys.ts'
import { createPasswords } from './oauth/password.ts'
import { createRefusals } from './oauth/refusals.ts'
import { now, openKeys, openSigningKeys, randomBytes, readMasterSecrets } from './setup.ts'
import { openSqliteStorage } from './storage/sqlite.ts'

/** Milliseconds. Well under the margin that a key is published before it signs, beyond the JWK Set's `max-age`. */
const keyReloadInterval = 10_000
/** Milliseconds between two writes of failed attempts: what a crash can forget. */
const flushInterval = 1000
/** Milliseconds between two pruning steps of 500 sessions: a million sessions are walked in nine hours. */
const pruneInterval = 15_000
/** Seconds that ended sessions are kept: longer than any clock error, so that a clock set forward removes nobody. */
const keepEndedSessions = 7 * 86_400
/** Seconds that an identifier is remembered after it has expired: a clock set forward makes no assertion work twice. */
const keepRemembered = 86_400
/** Milliseconds that requests under way get to finish after SIGTERM. */
const drainLimit = 10_000

/** Serves until SIGTERM or SIGINT. Resolves when everything is answered and closed. */
export async function serve(config: Config): Promise<void> {
  const log = pino({ level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime })
  const { storage, migrated } = openSqliteStorage(config.databaseFile)
  if (migrated > 0) log.info({ migrated }, 'database migrated')
  const stopRequested = waitForSignal()
  const server = createServer()
  try {
    const secrets = await readMasterSecrets(config.secret, storage)
    const keyRing = createKeyRing(await openSigningKeys(storage, secrets, config.signingAlg))
    const passwords = await createPasswords(config.passwordHashing, randomBytes)
    const throttle = await createThrottle(config.throttle, { storage, secrets, now, randomBytes })
    await listen(server, config)

    const url = urlOf(server, config.host)
    const issuer = config.issuer ?? `http://localhost:${(server.address() as AddressInfo).port}`
    const oauth = { ...config.oauth, issuer, audience: [config.audience ?? issuer] }
    const remoteJwks = createRemoteJwks(config.privateJwksUris)
    const refusals = createRefusals(storage, now)
    const deps: Deps = {
      config: oauth,
      storage,
      secrets,
      keyRing,
      passwords,
      throttle,
      refusals,
      remoteJwks,
      now,
      randomBytes,
    }
    const { corsOrigins, trustProxy, docs } = config
    server.on('request', createApp(deps, { log, corsOrigins, trustProxy, docs }).callback())

    if (config.bootstrap) {
      const file = await bootstrap(deps, config, url, process.stderr.isTTY ? process.stderr : undefined)
      if (file !== undefined) log.info({ file }, 'first start: the password of the user admin is in this file')
    }
    log.info({ url, issuer }, 'listening')

    const upkeep = startUpkeep(deps, config, log)
    const signal = await stopRequested
    log.info({ signal }, 'stopping')
    await drain(server)
    await upkeep.stop()
    await Promise.all([throttle.flush(), refusals.flush(true)]).catch(error =>
      log.warn({ err: error }, 'the last failed attempts are forgotten'),
    )
  } finally {
    server.close()
    await storage.close()
  }
  log.info('stopped')
}

function listen(server: Server, { host, port }: Config): Promise<void> {
  // A client gets this long for a whole request; what is slower is an attack or a dead connection.
  server.headersTimeout = 10_000
  server.requestTimeout = 30_000
  // Longer than the usual load balancer's, so that it is never this side that closes under a request.
  server.keepAliveTimeout = 75_000
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message
      reject(new Error(`cannot listen on ${host} port ${port}: ${why}`, { cause: error }))
    })
    server.listen(port, host, resolve)
  })
}

function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function waitForSignal(): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve)
  })
}

/** Takes no new connection, answers what is under way, and gives up on clients that do not finish. */
async function drain(server: Server): Promise<void> {
  const closed = new Promise(resolve => server.close(resolve))
  server.prependListener('request', (_request, response) => response.setHeader('Connection', 'close'))
  // Again and again: a connection whose answer was under way becomes idle, and its client may never close it.
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  const impatience = setTimeout(() => server.closeAllConnections(), drainLimit)
  await closed
  clearInterval(idle)
  clearTimeout(impatience)
}

/** The work that no request does: learning of new keys, forgetting what ended. */
function startUpkeep(deps: Deps, { auditLifetime }: Config, log: Logger): { stop: () => Promise<void> } {
  let position = ''
  const jobs = [
    repeat(keyReloadInterval, log, () => reloadKeys(deps)),
    repeat(flushInterval, log, () => deps.throttle.flush()),
    repeat(flushInterval, log, () => deps.refusals.flush()),
    repeat(pruneInterval, log, async () => {
      position = await deps.storage.pruneSessions(position, deps.now() - keepEndedSessions)
      await deps.storage.pruneRemembered(deps.now() - keepRemembered)
      await deps.storage.pruneCounters(deps.now())
      await deps.storage.pruneAuditEvents(deps.now() - auditLifetime)
    }),
  ]
  return { stop: async () => void (await Promise.all(jobs.map(job => job.stop()))) }
}

async function reloadKeys({ storage, secrets, keyRing, now: currentTime }: Deps): Promise<void> {
  const stored = await storage.listSigningKeys()
  const retired = stored.filter(key => keyState(key, stored, currentTime()) === 'retired')
  // A private key that nothing needs is only a thing to steal.
  if (retired.length > 0) await storage.removeSigningKeys(retired.map(({ kid }) => kid))
  const known = new Set(keyRing.keys().map(key => key.stored.kid))
  const current = stored.filter(key => !retired.includes(key))
  if (current.length === known.size && current.every(({ kid }) => known.has(kid))) return
  keyRing.replace(await openKeys(current, secrets))
}

/** Runs a job again and again, one run at a time; a failure is logged and the next run tries again. */
function repeat(milliseconds: number, log: Logger, job: () => Promise<void>): { stop: () => Promise<void> } {
  let running = Promise.resolve()
  let busy = false
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    running = job()
      .catch(error => log.warn({ err: error }, 'upkeep failed; it will be tried again'))
      .finally(() => {
        busy = false
      })
  }, milliseconds)
  return {
    stop() {
      clearInterval(timer)
      return running
    },
  }
}
