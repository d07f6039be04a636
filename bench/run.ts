/** `npm run bench`, or `npm run bench -- --quick`: measures the real server beside what it could be. README.md explains. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LoadResult, Plan, Requests } from './load.ts'
import { readMemory } from './machine.ts'
import { heading, median, report, writeResults } from './report.ts'
import {
  checkpoint,
  clientId,
  databaseFile,
  fillSessions,
  hashFor,
  type Load,
  prepareDatabase,
  type Running,
  signIn,
  signInForm,
  startCeiling,
  startLoad,
  startServer,
  tokensOf,
  walSize,
} from './server.ts'

const quick = process.argv.includes('--quick')
const seconds = quick ? 1 : 2
const rounds = quick ? 2 : 6
const devices = 32
const many = quick ? 100_000 : 1_000_000

// Longer than this, something hangs: the exit takes every process along.
setTimeout(
  () => {
    process.stderr.write('the benchmark took too long\n')
    process.exit(1)
  },
  (quick ? 60 : 240) * 1000,
).unref()

const work = mkdtempSync(join(tmpdir(), 'latchkey-bench-'))
process.on('exit', () => rmSync(work, { recursive: true, force: true }))

const load = startLoad()
const small = await prepare()
await measureStartup()
await measureRefresh()
await measureOthers()
await measureSignIns()
await measureStorm()
await measureGrowth()
await load.stop()
writeResults(new URL('results.json', import.meta.url), quick)
process.stdout.write('\nwritten to bench/results.json\n')

/** A directory with a database of 1,000 sessions: every part works on a copy of it. */
async function prepare(): Promise<string> {
  const directory = join(work, 'small')
  mkdirSync(directory)
  await prepareDatabase(directory)
  const server = await startServer(directory)
  await signIn(server.port)
  await server.stop()
  fillSessions(directory, 1000)
  return directory
}

async function measureStartup(): Promise<void> {
  heading('Start')
  const startups: number[] = []
  for (let i = 0; i < (quick ? 3 : 7); i++) {
    const server = await startServer(small)
    startups.push(server.startup)
    await server.stop()
  }
  report('from process start to the ready line', median(startups), 'ms')
}

async function measureRefresh(): Promise<void> {
  heading(`Refresh, ${devices} devices at once, each with the token of its last answer`)
  const directory = copyOf(small)
  const ceilingDirectory = copyOf(small)
  const server = await startServer(directory)
  const ceiling = await startCeiling(databaseFile(ceilingDirectory))
  const ours = { server, tokens: tokensOf(directory, devices) }
  const theirs = { server: ceiling, tokens: ceiling.tokens.slice(0, devices) }
  const [refreshes, ceilings] = await inTurn(ours, theirs)
  await ceiling.stop()
  reportLoad('refresh', refreshes)
  reportLoad('ceiling', ceilings)
  report('CPU of a refresh over the ceiling', ratio(refreshes, ceilings, 'cpu'), 'ratio', { atMost: 1.5 })
  report('write-ahead log after all that', walSize(directory) / 2 ** 20, 'MiB', { atMost: 16 })

  const before = checkpoint(directory)
  const last = { kind: 'refresh', clientId, tokens: ours.tokens, atMost: 1000 } as const
  await run(server, last, { warmupSeconds: 0, seconds: 30 })
  report('bytes that 1,000 rotations add to the database', checkpoint(directory) - before, 'bytes', { atMost: 0 })
  await server.stop()
}

async function measureOthers(): Promise<void> {
  heading(`Other requests, ${devices} connections`)
  const directory = copyOf(small)
  // Each revocation uses a session up.
  fillSessions(directory, quick ? 10_000 : 40_000)
  const server = await startServer(directory)
  const { access_token: accessToken } = await signIn(server.port)
  const gets: Requests[] = [
    { kind: 'get', path: '/users/me', accessToken },
    { kind: 'get', path: '/.well-known/jwks.json' },
    { kind: 'get', path: '/health/live' },
  ]
  for (const requests of gets) {
    if (requests.kind === 'get') reportLoad(`GET ${requests.path}`, [await run(server, requests)])
  }
  const tokens = tokensOf(directory, quick ? 10_000 : 40_000)
  reportLoad('POST /revoke', [await run(server, { kind: 'revoke', clientId, tokens })])
  await server.stop()
}

async function measureSignIns(): Promise<void> {
  const connections = 4 * availableParallelism()
  heading(`Sign-ins (password grant), ${connections} at once, and bare argon2`)
  const server = await startServer(copyOf(small))
  const signIns: LoadResult[] = []
  const hashes: { perSecond: number; cpu: number }[] = []
  for (let round = 0; round < rounds; round++) {
    signIns.push(await run(server, signInRequests(), { connections }))
    hashes.push(await hashFor(seconds))
  }
  reportLoad('sign-in', signIns)
  report('bare argon2: hashes', median(hashes.map(({ perSecond }) => perSecond)), 'per second')
  report('bare argon2: CPU of a hash', median(hashes.map(({ cpu }) => cpu)), 'us')
  report('sign-ins over bare hashes, per second', ratio(signIns, hashes, 'perSecond'), 'ratio', { atLeast: 0.9 })
  report('CPU of a sign-in over a bare hash', ratio(signIns, hashes, 'cpu'), 'ratio', { atMost: 1.05 })
  report('memory after sign-ins', readMemory(server.pid).resident, 'MiB')
  await server.stop()
}

/** Refreshes while more sign-ins run than there are cores: first at their own pace, then as fast as they can. */
async function measureStorm(): Promise<void> {
  heading('Refresh, 8 devices, at rest and in a storm of sign-ins')
  const directory = copyOf(small)
  const server = await startServer(directory)
  const attackers = startLoad()
  let tokens: readonly string[] = tokensOf(directory, 8)
  for (const [name, pace] of [
    ['every 20 ms', { pause: 20 }],
    ['back to back', {}],
  ] as const) {
    const atRest: LoadResult[] = []
    const inStorm: LoadResult[] = []
    for (let round = 0; round < Math.ceil(rounds / 2); round++) {
      atRest.push(await run(server, { kind: 'refresh', clientId, tokens }, { connections: 8, ...pace }))
      tokens = atRest.at(-1)!.tokens
      const storm = run(
        server,
        signInRequests(),
        { connections: 8 * availableParallelism(), seconds: seconds + 1 },
        attackers,
      )
      inStorm.push(await run(server, { kind: 'refresh', clientId, tokens }, { connections: 8, ...pace }))
      tokens = inStorm.at(-1)!.tokens
      await storm
    }
    report(`${name}, at rest: median`, medianOf(atRest, 'median'), 'ms')
    report(`${name}, at rest: p99`, medianOf(atRest, 'p99'), 'ms')
    report(`${name}, in the storm: median`, medianOf(inStorm, 'median'), 'ms')
    report(`${name}, in the storm: p99`, medianOf(inStorm, 'p99'), 'ms')
    report(`${name}, storm over rest: median`, ratio(inStorm, atRest, 'median'), 'ratio', { atMost: 3 })
  }
  await attackers.stop()
  await server.stop()
}

async function measureGrowth(): Promise<void> {
  heading(`1,000 sessions and ${many.toLocaleString('en-US')}`)
  const directories = { few: copyOf(small), many: copyOf(small) }
  report('bytes of a session', fillSessions(directories.many, many), 'bytes')
  const servers = { few: await startServer(directories.few), many: await startServer(directories.many) }
  report('start with many sessions', servers.many.startup, 'ms')
  // The same number of devices on both, spread over the whole table: only the size of the table differs.
  const [few, among] = await inTurn(
    { server: servers.few, tokens: tokensOf(directories.few, 1000) },
    { server: servers.many, tokens: tokensOf(directories.many, 1000) },
  )
  reportLoad('refresh among few', few)
  reportLoad('refresh among many', among)
  report('CPU of a refresh, many over few', ratio(among, few, 'cpu'), 'ratio', { atMost: 1.1 })
  report('memory with few', readMemory(servers.few.pid).resident, 'MiB', { atMost: 150 })
  report('memory with many', readMemory(servers.many.pid).resident, 'MiB', { atMost: 150 })
  await servers.few.stop()
  await servers.many.stop()
}

type Chains = { server: Running; tokens: readonly string[] }

/** Refreshes on one server, then the other, and again, each going on where it was; the first turn only warms up. */
async function inTurn(a: Chains, b: Chains): Promise<[LoadResult[], LoadResult[]]> {
  const results: [LoadResult[], LoadResult[]] = [[], []]
  for (let round = 0; round <= rounds; round++) {
    for (const [i, chains] of [a, b].entries()) {
      const result = await run(chains.server, { kind: 'refresh', clientId, tokens: chains.tokens })
      chains.tokens = result.tokens
      if (round > 0) results[i]!.push(result)
    }
  }
  return results
}

function copyOf(directory: string): string {
  const copy = mkdtempSync(join(work, 'copy-'))
  cpSync(directory, copy, { recursive: true })
  return copy
}

function run(
  server: Running,
  requests: Requests,
  plan: Partial<Plan> = {},
  generator: Load = load,
): Promise<LoadResult> {
  const { pid, port } = server
  return generator.run({ connections: devices, warmupSeconds: 0.5, seconds, ...plan, port, pid, requests })
}

function signInRequests(): Requests {
  return { kind: 'post', path: '/token', body: signInForm().toString() }
}

function reportLoad(name: string, results: readonly LoadResult[]): void {
  report(`${name}: requests`, medianOf(results, 'perSecond'), 'per second')
  report(`${name}: median`, medianOf(results, 'median'), 'ms')
  report(`${name}: p99`, medianOf(results, 'p99'), 'ms')
  report(`${name}: server CPU of a request`, medianOf(results, 'cpu'), 'us')
}

function medianOf<K extends string>(results: readonly Record<K, number>[], figure: K): number {
  return median(results.map(result => result[figure]))
}

/** Of runs taken in turn: neighbours share the weather, so each pair gives a ratio, and the median of those counts. */
function ratio<K extends string>(a: readonly Record<K, number>[], b: readonly Record<K, number>[], figure: K): number {
  return median(a.map((result, i) => result[figure] / b[i]![figure]))
}
