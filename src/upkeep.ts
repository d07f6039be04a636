/** The work that no request does: learning of new keys and secrets, rotating keys, forgetting what ended. */
import { setImmediate } from 'node:timers/promises'
import type { Logger } from 'pino'
import { removeDeletedUsers } from './accounts/deletion.ts'
import { auditEvent } from './audit/audit.ts'
import type { Config } from './config.ts'
import type { MasterSecrets } from './keys/master_secret.ts'
import { addSigningKey } from './keys/rotation.ts'
import { noteUse } from './keys/secret_use.ts'
import { keyState, unhurriedLead } from './keys/signing_key.ts'
import type { Deps } from './oauth/deps.ts'
import { openKeys } from './secret_file.ts'
import { endCrowdedOut } from './sessions/end.ts'
import type { Session } from './sessions/session.ts'
import { crowdedOut } from './sessions/session_limit.ts'
import { resealTotpSecrets } from './users/factors/master_secrets.ts'
import { importTimeout } from './users/storage.ts'

/** Milliseconds. Well under the margin that a key is published before it signs, beyond the JWK Set's `max-age`. */
const reloadInterval = 10_000
/** Milliseconds between two writes of failed attempts: what a crash can forget. */
const flushInterval = 1000
/** Milliseconds between two looks at the database. */
const checkInterval = 1000
/** Stored password hashes looked at in one go: three milliseconds on a slow machine. */
const hashSample = 500
/** Milliseconds between two pruning steps of 500 sessions: a million sessions are walked in nine hours. */
const pruneInterval = 15_000
/** Steps of removing what a crashed import left, one after the other: 300,000 users are gone in eight minutes. */
const pruneImportSteps = 20
/** Seconds that ended sessions are kept: longer than any clock error, so that a clock set forward removes nobody. */
const keepEndedSessions = 7 * 86_400
/** Seconds that a consumed identifier is kept after it has expired: a clock set forward makes no assertion work twice. */
const keepConsumed = 86_400
/** Seconds that counters are kept when they are empty: longer than a turn is, and than clocks of nodes are apart. */
const keepCounters = 3600

/** Sessions read, and at most removed, in one go, some milliseconds; those that a step removes; users that it looks at in vain. */
const crowdBatch = 250
const maxRemoved = 5000
const maxCrowds = 50

const maxPruneSteps = 40

/** Of several nodes one does it. */
type Sending = Readonly<{ step: () => Promise<void>; stop: () => Promise<void> }>

type CrowdDeps = Pick<Deps, 'storage' | 'config' | 'now'>

/**
 * @param given.reloadSecrets reads the master secrets again where they may have changed
 * @param given.adjustClock   looks at the clock of the database again
 * @param given.measure       a step of measuring what metrics tell
 * @param given.deliveries    sends events to webhooks
 * @param given.mails         sends mails, where any are sent
 * @param given.notices       writes those that tell owners of accounts what happens to them
 */
export function startUpkeep(
  deps: Deps,
  config: Pick<Config, 'auditLifetime' | 'keyRotation' | 'signingAlg'>,
  given: Readonly<{
    reloadSecrets: () => Promise<MasterSecrets>
    adjustClock: () => Promise<void>
    measure?: (() => Promise<void>) | undefined
    deliveries: Sending
    mails?: Sending | undefined
    notices?: Sending | undefined
  }>,
  log: Logger,
): { stop: () => Promise<void> } {
  const { storage, now, randomBytes } = deps
  // Nodes that were started at one moment do not all ask their database at one moment ever after.
  const phaseOf = (milliseconds: number) =>
    storage.shared === undefined ? 0 : (milliseconds * randomBytes(2).readUInt16BE()) / 65_536
  const each = (milliseconds: number, job: () => Promise<void>) => repeat(milliseconds, log, job, phaseOf(milliseconds))
  let position = ''
  let crowdPosition = ''
  let hashPosition = ''
  let sealedUnder = ''
  const jobs = [
    each(reloadInterval, async () => {
      const before = deps.secrets[0].name
      const [newest] = await given.reloadSecrets()
      if (newest.name !== before) log.info({ secret: newest.name }, 'the master secret has been rotated')
    }),
    each(reloadInterval, async () => {
      sealedUnder = await resealFactors(deps, sealedUnder)
    }),
    each(reloadInterval, given.adjustClock),
    // Also while it cannot be read again, and this node goes on with what it has.
    each(reloadInterval, async () => {
      if (storage.shared !== undefined) await noteUse(deps, deps.secrets[0])
    }),
    // Whether or not the master secret can be read again.
    each(reloadInterval, async () => {
      await rotateKey(deps, config, log)
      await reloadKeys(deps)
    }),
    // Users may be imported while the server runs.
    each(reloadInterval, async () => {
      hashPosition = await learnHashKinds(deps, hashPosition)
    }),
    // Notices files that somebody has deleted or replaced, even when nobody writes.
    each(checkInterval, () => checkDatabase(deps)),
    ...(given.measure ? [each(checkInterval, given.measure)] : []),
    each(checkInterval, given.deliveries.step),
    ...(given.mails ? [each(checkInterval, given.mails.step)] : []),
    ...(given.notices ? [each(checkInterval, given.notices.step)] : []),
    each(flushInterval, () => deps.throttle.flush()),
    each(flushInterval, () => deps.refusals.flush()),
    each(flushInterval, () => storage.writeFloods(now())),
    // By itself: nothing else that goes wrong keeps somebody who wants to be gone.
    each(pruneInterval, () => pruneAll(() => removeDeletedUsers(deps))),
    each(pruneInterval, async () => {
      position = await storage.pruneSessions(position, now() - keepEndedSessions)
      crowdPosition = await endCrowds(deps, crowdPosition)
      await pruneAll(() => storage.pruneConsumed(now() - keepConsumed))
      await pruneAll(() => storage.pruneAnswers(now()))
      await pruneAll(() => storage.pruneCounters(now() - keepCounters))
      await pruneAll(() => storage.pruneAuditEvents(now() - config.auditLifetime))
      await pruneAll(() => storage.pruneReservedUsernames(now()))
      for (let i = 0; i < pruneImportSteps; i++) if (!(await storage.pruneImports(now() - importTimeout))) break
    }),
  ]
  return {
    async stop() {
      await Promise.all(jobs.map(job => job.stop()))
      const stopOne = (one: Sending | undefined, what: string) =>
        one?.stop().catch(error => log.warn({ err: error }, `another node sends ${what} in half a minute`))
      await Promise.all([
        stopOne(given.deliveries, 'events to webhooks'),
        stopOne(given.mails, 'mails'),
        stopOne(given.notices, 'notices'),
      ])
    },
  }
}

async function checkDatabase({ storage, observer }: Pick<Deps, 'storage' | 'observer'>): Promise<void> {
  try {
    await storage.check()
  } catch (error) {
    observer.checked(false)
    throw error
  }
  observer.checked(true)
}

/** Prunes until nothing is left to prune, or for so many steps that 1,300 rows a second go: more than one client makes. */
export async function pruneAll(prune: () => Promise<number>): Promise<void> {
  for (let steps = 0; steps < maxPruneSteps; steps++) {
    if ((await prune()) === 0) return
    await setImmediate()
  }
}

/**
 * Encrypts the secrets of time-based codes under another master secret, once this node makes under that one: the others have it then.
 *
 * @param name of the master secret for which that has been done
 * @returns the one for which it is done now
 */
export async function resealFactors(
  deps: Pick<Deps, 'storage' | 'secrets' | 'randomBytes'>,
  name: string,
): Promise<string> {
  const { secrets } = deps
  const [newest] = secrets
  if (secrets.length === 1 || newest.name === name) return newest.name
  let position = ''
  do {
    position = (await resealTotpSecrets(deps, secrets, position)).next
    // Requests first: nobody waits for this.
    await setImmediate()
  } while (position !== '')
  return newest.name
}

/**
 * Learns how long imported password hashes take, from some of them.
 *
 * @param after the result of the last step, '' to begin
 * @returns where to go on, '' to begin again
 */
export async function learnHashKinds(
  { storage, passwords }: Pick<Deps, 'storage' | 'passwords'>,
  after: string,
): Promise<string> {
  const { hashes, next } = await storage.samplePasswordHashes(after, hashSample)
  await passwords.learn(hashes)
  return next
}

/**
 * One step along all users, for databases from before the limit of sessions, or from before it was lowered.
 *
 * @param after the result of the last step, '' to begin
 * @returns where to go on, '' to begin again
 */
export async function endCrowds(deps: CrowdDeps, after: string): Promise<string> {
  let position = after
  for (let users = 0; users < maxCrowds; users++) {
    const { userId, next } = await deps.storage.findCrowd(position, deps.config.sessionLimit)
    if (userId === undefined) return next
    const { removed, isDone } = await endCrowd(deps, userId)
    if (isDone) position = userId
    if (removed > 0) break
  }
  return position
}

/** The sessions that stay are told page by page: who is crowded out by some of them is by all. */
async function endCrowd({ storage, config, now }: CrowdDeps, userId: string) {
  const read = async (after?: string) => (await storage.listSessionsOf(userId, { after, limit: crowdBatch })) ?? []
  let kept: readonly Session[] = []
  let removed = 0
  let page: readonly Session[] = await read()
  while (page.length > 0) {
    if (removed >= maxRemoved) return { removed, isDone: false }
    const following = page.length < crowdBatch ? [] : await read(page.at(-1)!.id)
    const all = [...kept, ...page]
    const { ended, forgotten } = crowdedOut(all, config.sessionLimit, now())
    await endCrowdedOut({ storage, now }, ended)
    await storage.removeSessions(forgotten)
    const gone = new Set([...ended, ...forgotten])
    kept = all.filter(session => !gone.has(session))
    removed += gone.size
    page = following
    // Requests first: nobody waits for this.
    await setImmediate()
  }
  return { removed, isDone: true }
}

/** Adds a signing key when the newest is old enough. Of several nodes one does. */
export async function rotateKey(
  deps: Pick<Deps, 'storage' | 'secrets' | 'now'>,
  { keyRotation, signingAlg }: Pick<Config, 'keyRotation' | 'signingAlg'>,
  log: Logger,
): Promise<void> {
  const newest = (await deps.storage.listSigningKeys()).at(-1)
  if (keyRotation === 0 || newest === undefined || deps.now() < newest.activatesAt + keyRotation) return
  const added = await addSigningKey(deps, { alg: signingAlg, newest, lead: unhurriedLead })
  if (added !== undefined) log.info({ kid: added.kid, signsAt: added.activatesAt }, 'signing key rotated')
}

export async function reloadKeys({ storage, secrets, keyRing, now }: Deps): Promise<void> {
  const stored = await storage.listSigningKeys()
  const retired = stored.filter(key => keyState(key, stored, now()) === 'retired').map(({ kid }) => kid)
  // A private key that nothing needs is only a thing to steal.
  if (retired.length > 0) {
    await storage.removeSigningKeys(retired, auditEvent('key.removed', now(), {}, { detail: retired.join(' ') }))
  }
  const known = new Set(keyRing.keys().map(key => key.stored.kid))
  const current = stored.filter(({ kid }) => !retired.includes(kid))
  if (current.length === known.size && current.every(({ kid }) => known.has(kid))) return
  keyRing.replace(await openKeys(current, secrets))
}

/**
 * Runs a job again and again, one run at a time; a failure is logged and the next run tries again.
 *
 * @param phase milliseconds before the first interval begins
 */
function repeat(
  milliseconds: number,
  log: Logger,
  job: () => Promise<void>,
  phase: number,
): { stop: () => Promise<void> } {
  let running = Promise.resolve()
  let busy = false
  let failing = false
  const run = () => {
    if (busy) return
    busy = true
    running = job().then(
      () => {
        if (failing) log.info('upkeep works again')
        failing = busy = false
      },
      error => {
        // Once, however long it takes: a full disk is not helped by a line a second.
        if (!failing) log.warn({ err: error }, 'upkeep failed; it will be tried again')
        failing = true
        busy = false
      },
    )
  }
  let timer: NodeJS.Timeout = setTimeout(() => {
    timer = setInterval(run, milliseconds)
  }, phase)
  return {
    stop() {
      clearTimeout(timer)
      return running
    },
  }
}
