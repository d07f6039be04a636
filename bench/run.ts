/** `npm run bench`, `-- --quick`, `-- --only refresh,storm`: measures the real server beside what it could be. README.md explains. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { LoadResult, Plan, Requests } from './load.ts'
import { readMemory } from './machine.ts'
import { measurePostgres } from './postgres.ts'
import { heading, median, report, withholdVerdicts, writeResults } from './report.ts'
import {
  apiId,
  apiSecret,
  checkpoint,
  clientId,
  type Durability,
  databaseFile,
  fillSessions,
  fillTable,
  hashFor,
  type Load,
  password,
  prepareDatabase,
  type Running,
  rotateKey,
  signIn,
  signInForm,
  startLoad,
  startOther,
  startServer,
  tokensOf,
  username,
  walSize,
} from './server.ts'
import { asking, inTurn, medianOf, ratio, refreshing, showLoad, showLoads, using } from './turns.ts'

const parts: Readonly<Record<string, () => Promise<void>>> = {
  start: measureStartup,
  refresh: measureRefresh,
  peers: measurePeers,
  sessions: measureSessions,
  others: measureOthers,
  'sign-ins': measureSignIns,
  storm: measureStorm,
  flood: measureFlood,
  sizes: measureSizes,
  postgres: () => measurePostgres({ load, work, quick, seconds, warmupSeconds, rounds, cores }, installPeers),
}
const { values: options } = parseArgs({ options: { quick: { type: 'boolean' }, only: { type: 'string' } } })
const quick = options.quick === true
const chosen =
  options.only?.split(',') ?? Object.keys(parts).filter(part => !quick || !['sizes', 'storm', 'flood'].includes(part))
const unknown = chosen.find(part => !Object.hasOwn(parts, part))
if (unknown !== undefined) {
  process.stderr.write(`there is no part ${unknown}; there are ${Object.keys(parts).join(', ')}\n`)
  process.exit(2)
}
const seconds = quick ? 0.4 : 1.5
const warmupSeconds = quick ? 0.1 : 0.4
const rounds = quick ? 1 : 4
const cores = availableParallelism()
const peers = ['node_oauth', 'jmondi', 'oidc_provider'] as const

// Longer than this, something hangs: the exit takes every process along.
setTimeout(
  () => {
    process.stderr.write('the benchmark took too long\n')
    process.exit(1)
  },
  (quick ? 90 : 1200) * 1000,
).unref()

const work = mkdtempSync(join(tmpdir(), 'latchkey-bench-'))
process.on('exit', () => rmSync(work, { recursive: true, force: true }))

if (quick) withholdVerdicts()
const load = startLoad()
const small = await prepare()
for (const part of chosen) await parts[part]!()
await load.stop()
if (options.only === undefined) {
  writeResults(new URL('results.json', import.meta.url), quick)
  if (quick) process.stdout.write('\nno verdicts: in so short a run the code is hardly compiled\n')
  process.stdout.write('\nwritten to bench/results.json\n')
}

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
  const memory: number[] = []
  for (let i = 0; i < (quick ? 2 : 5); i++) {
    const server = await startServer(small)
    startups.push(server.startup)
    memory.push(readMemory(server.pid))
    await server.stop()
  }
  report('from process start to the ready line', median(startups), 'ms', { atMost: 400 })
  report('memory when ready', median(memory), 'MB')
}

async function measureRefresh(): Promise<void> {
  heading('Refresh: each device presents the token of its last answer')
  const directories = { ours: copyOf(small), full: copyOf(small), normal: copyOf(small) }
  const server = await startServer(directories.ours)
  const full = await startOther('ceiling.ts', databaseFile(directories.full), 'FULL')
  const normal = await startOther('ceiling.ts', databaseFile(directories.normal), 'NORMAL')
  const contenders = [
    refreshing('refresh', server, tokensOf(directories.ours, 1000)),
    refreshing('ceiling', full, full.tokens),
    refreshing('ceiling, not durable', normal, normal.tokens),
  ] as const
  await inTurn(load, contenders, turns({ rounds: quick ? 1 : 2, connections: 32 }))
  // One device last: at so few requests a second the compiler's work on code that is new would be most of what is measured.
  for (const devices of [16, 256, 1]) {
    const results = await inTurn(load, contenders, turns({ connections: devices }))
    showLoads(results, `, ${devices} at once`)
    report(
      `CPU of a refresh over the ceiling, ${devices} at once`,
      ratio(results.refresh!, results.ceiling!, 'cpu'),
      'ratio',
      { atMost: 1.25 },
    )
    report(`memory, ${devices} at once`, readMemory(server.pid), 'MB', { atMost: 120 })
  }
  report('write-ahead log after all that', walSize(directories.ours) / 2 ** 20, 'MiB', { atMost: 16 })
  report(
    'bytes that 1,000 rotations add to the database',
    await growthOf(server, databaseFile(directories.ours), tokensOf(directories.ours, 16)),
    'bytes',
    { atMost: 0 },
  )
  for (const running of [server, full, normal]) await running.stop()
}

async function measurePeers(): Promise<void> {
  heading('Refresh, 16 devices, and the peers: durable, then with relaxed fsync (Latchkey is always durable)')
  if (!installPeers()) {
    process.stdout.write('left out: the peers cannot be installed (npm ci --prefix bench/peers)\n')
    return
  }
  const directory = copyOf(small)
  const server = await startServer(directory)
  const durabilities: readonly Durability[] = quick ? ['FULL'] : ['FULL', 'NORMAL']
  for (const durability of durabilities) {
    const files = peers.map(peer => join(work, `${peer}-${durability}.db`))
    const others = await Promise.all(peers.map((peer, i) => startOther(`peers/${peer}.js`, files[i]!, durability)))
    const contenders = [
      refreshing('latchkey', server, tokensOf(directory, 16)),
      ...others.map(({ tokens, ...other }, i) => refreshing(peers[i]!, other, tokens)),
    ]
    await inTurn(load, contenders, turns({ rounds: 1, connections: 16 }))
    const results = await inTurn(load, contenders, turns({ connections: 16, rounds: Math.min(rounds, 3) }))
    showLoads(results, durability === 'FULL' ? '' : ', relaxed')
    const cheapest = peers.toSorted((a, b) => medianOf(results[a]!, 'cpu') - medianOf(results[b]!, 'cpu'))[0]!
    report(
      durability === 'FULL'
        ? `CPU of a refresh over the cheapest peer's (${cheapest})`
        : `CPU of a durable refresh over a relaxed peer's (${cheapest})`,
      ratio(results.latchkey!, results[cheapest]!, 'cpu'),
      'ratio',
      durability === 'FULL' ? { atMost: 1 / 3 } : {},
    )
    for (const [i, other] of others.entries()) {
      if (durability === 'FULL') {
        report(
          `bytes that 1,000 rotations add: ${peers[i]}`,
          await growthOf(other, files[i]!, other.tokens.slice(16, 32)),
          'bytes',
        )
      }
      await other.stop()
    }
  }
  await server.stop()
}

/** They are no part of what `npm ci` installs. */
function installPeers(): boolean {
  const directory = fileURLToPath(new URL('peers', import.meta.url))
  if (existsSync(join(directory, 'node_modules'))) return true
  return spawnSync('npm', ['ci', '--prefix', directory], { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
}

/** Bytes by which a thousand rotations make a database file larger. */
async function growthOf(server: Running, file: string, tokens: readonly string[]): Promise<number> {
  const before = checkpoint(file)
  const connections = tokens.length
  const requests = { kind: 'refresh', clientId, tokens, atMost: 1000 } as const
  await run(server, requests, { connections, warmupSeconds: 0, seconds: 30 })
  return checkpoint(file) - before
}

async function measureSessions(): Promise<void> {
  const [some, many] = quick ? [3_000, 30_000] : [100_000, 1_000_000]
  heading(`Refresh, 1,000 devices on 32 connections, among 1,000, ${shownCount(some)} and ${shownCount(many)} sessions`)
  const directories = { few: copyOf(small), some: copyOf(small), many: copyOf(small) }
  fillSessions(directories.some, some)
  report('bytes of a session', fillSessions(directories.many, many), 'bytes', { atMost: 400 })
  const servers = {
    few: await startServer(directories.few),
    some: await startServer(directories.some),
    many: await startServer(directories.many),
  }
  report('start among many', servers.many.startup, 'ms', { atMost: 400 })
  // The same number of devices on each, spread over the whole table: only the size of the table differs.
  const contenders = (['few', 'some', 'many'] as const).map(size =>
    refreshing(size, servers[size], tokensOf(directories[size], 1000), 1000),
  )
  await inTurn(load, contenders, turns({ rounds: 1, connections: 32 }))
  const results = await inTurn(load, contenders, turns({ connections: 32 }))
  showLoad('refresh among 1,000', results.few!)
  showLoad(`refresh among ${shownCount(some)}`, results.some!)
  showLoad(`refresh among ${shownCount(many)}`, results.many!)
  report('CPU of a refresh, many over few', ratio(results.many!, results.few!, 'cpu'), 'ratio', { atMost: 1.05 })
  report('memory among few', readMemory(servers.few.pid), 'MB', { atMost: 120 })
  report('memory among many', readMemory(servers.many.pid), 'MB', { atMost: 120 })
  for (const server of Object.values(servers)) await server.stop()
}

async function measureOthers(): Promise<void> {
  heading('Other requests, 16 connections, and what they cannot do without on bare node:http')
  const eachTurn = quick ? 1000 : 4000
  const turnsLeft = rounds + 1
  const directories = { ours: copyOf(small), bare: copyOf(small) }
  for (const directory of Object.values(directories)) fillSessions(directory, eachTurn * (rounds + 2))
  const server = await startServer(directories.ours)
  const bare = await startOther('ceiling.ts', databaseFile(directories.bare), 'FULL')
  const refreshes = { kind: 'refresh', clientId, tokens: tokensOf(directories.ours, 1000) } as const
  const atMost = 2 * eachTurn * turnsLeft
  const { accessTokens } = await run(server, { ...refreshes, atMost }, { warmupSeconds: 0, seconds: 60 })
  // The ruler remembers nothing: one token is as good as many.
  const bareTokens = Array.from({ length: accessTokens.length }, () => bare.accessToken!)
  const basic = `Basic ${Buffer.from(`${apiId}:${apiSecret}`).toString('base64')}`
  const me = (tokens: readonly string[]) => ({ kind: 'me', accessTokens: tokens }) as const
  const introspect = (tokens: readonly string[]) =>
    ({ kind: 'introspect', accessTokens: tokens, authorization: basic }) as const
  const revoke = (tokens: readonly string[]) => ({ kind: 'revoke', clientId, tokens }) as const
  const half = eachTurn * turnsLeft
  const kinds = [
    ['GET /users/me', me, accessTokens.slice(0, half), bareTokens],
    ['POST /introspect', introspect, accessTokens.slice(half), bareTokens],
    // The first session of the ruler is the one of its access token.
    ['POST /revoke', revoke, tokensOf(directories.ours, half), bare.tokens.slice(1)],
  ] as const
  for (const [kind, requests, ours, theirs] of kinds) {
    const contenders = [
      using('ours', server, ours, eachTurn, requests),
      using('bare', bare, theirs, eachTurn, requests),
    ]
    const plan = { warmupSeconds: 0, seconds: 60, connections: 16 }
    await inTurn(load, contenders, turns({ ...plan, rounds: 1 }))
    const results = await inTurn(load, contenders, turns(plan))
    showLoad(kind, results.ours!)
    showLoad(`${kind}, bare`, results.bare!)
    report(`CPU of ${kind} over the bare one`, ratio(results.ours!, results.bare!, 'cpu'), 'ratio', { atMost: 1.5 })
  }
  const { access_token: token } = await signIn(server.port)
  const again: Requests[] = [
    { kind: 'get', path: '/users/me', authorization: `Bearer ${token}` },
    { kind: 'post', path: '/introspect', body: `token=${token}`, authorization: basic },
  ]
  for (const requests of again) {
    if (!('path' in requests)) continue
    const contender = asking(`${requests.path}, a token seen before`, server, requests)
    showLoads(await inTurn(load, [contender], turns({ connections: 16, rounds: 1 })))
  }
  for (const path of ['/.well-known/jwks.json', '/.well-known/oauth-authorization-server', '/health/live']) {
    const contender = asking(`GET ${path}`, server, { kind: 'get', path })
    showLoads(await inTurn(load, [contender], turns({ connections: 16, rounds: 1 })))
  }
  await bare.stop()
  await server.stop()
}

async function measureSignIns(): Promise<void> {
  const connections = 4 * cores
  heading(`Sign-ins, ${connections} at once, and bare argon2`)
  const directory = copyOf(small)
  const server = await startServer(directory)
  // At sixty a second, what is compiled when it has run a thousand times takes half a minute to be.
  await run(server, signInRequests(), { connections, seconds: 16 * seconds })
  const signIns: LoadResult[] = []
  const cookieSignIns: LoadResult[] = []
  const hashes: { perSecond: number; cpu: number }[] = []
  const byCookie = `username=${username}&password=${encodeURIComponent(password)}`
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    signIns.push(await run(server, signInRequests(), { connections, seconds: 2 * seconds }))
    hashes.push(await hashFor(2 * seconds))
    if (round < 2)
      cookieSignIns.push(await run(server, { kind: 'post', path: '/login', body: byCookie }, { connections }))
  }
  showLoad('password grant', signIns)
  showLoad('sign-in with a cookie', cookieSignIns)
  report('bare argon2: hashes', medianOf(hashes, 'perSecond'), 'per second')
  report('bare argon2: CPU of a hash', medianOf(hashes, 'cpu'), 'us')
  report('password grants over bare hashes, per second', ratio(signIns, hashes, 'perSecond'), 'ratio', {
    atLeast: 0.97,
  })
  report('CPU of a password grant over a bare hash', ratio(signIns, hashes, 'cpu'), 'ratio')
  report('memory after sign-ins', readMemory(server.pid), 'MB')
  await server.stop()
}

/** Refreshes while more sign-ins run than there are cores: first at their own pace, then as fast as they can. */
async function measureStorm(): Promise<void> {
  heading('Refresh, 8 devices, at rest and in a storm of password grants')
  const directory = copyOf(small)
  const server = await startServer(directory)
  const attackers = startLoad()
  let tokens = await warmUp(server, tokensOf(directory, 8))
  for (const [name, pace] of [
    ['every 20 ms', { pause: 20 }],
    ['back to back', {}],
  ] as const) {
    const atRest: LoadResult[] = []
    const inStorm: LoadResult[] = []
    const storms: LoadResult[] = []
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      atRest.push(await run(server, { kind: 'refresh', clientId, tokens }, { connections: 8, ...pace }))
      tokens = atRest.at(-1)!.tokens
      const storm = run(server, signInRequests(), { connections: 8 * cores, seconds: seconds + 1 }, attackers)
      inStorm.push(await run(server, { kind: 'refresh', clientId, tokens }, { connections: 8, ...pace }))
      tokens = inStorm.at(-1)!.tokens
      storms.push(await storm)
    }
    showLoad(`${name}, at rest`, atRest)
    showLoad(`${name}, in the storm`, inStorm)
    report(`${name}: password grants beside`, medianOf(storms, 'perSecond'), 'per second')
    report(`${name}: median, storm over rest`, ratio(inStorm, atRest, 'median'), 'ratio', { atMost: 1.5 })
    report(`${name}: p99, storm over rest`, ratio(inStorm, atRest, 'p99'), 'ratio', { atMost: 3 })
  }
  await attackers.stop()
  await server.stop()
}

/** Refreshes while two thousand sign-ins a second are refused: a new user from a new network each, so that nothing throttles them. */
async function measureFlood(): Promise<void> {
  heading('Refresh, 8 devices, without and with 2,000 refused sign-ins a second')
  const directory = copyOf(small)
  const server = await startServer(directory, { LATCHKEY_TRUST_PROXY: '127.0.0.1' })
  const attackers = startLoad()
  let tokens = await warmUp(server, tokensOf(directory, 8))
  const plan = { connections: 8, pause: 20 }
  const atRest: LoadResult[] = []
  const inFlood: LoadResult[] = []
  const floods: LoadResult[] = []
  await run(server, { kind: 'guess', clientId }, { connections: 200, rate: 2000, seconds: 4 }, attackers)
  for (let round = 0; round < (quick ? 1 : 4); round++) {
    atRest.push(await run(server, { kind: 'refresh', clientId, tokens }, plan))
    tokens = atRest.at(-1)!.tokens
    const guesses = { connections: 200, rate: 2000, seconds: seconds + 1 }
    const flood = run(server, { kind: 'guess', clientId }, guesses, attackers)
    inFlood.push(await run(server, { kind: 'refresh', clientId, tokens }, plan))
    tokens = inFlood.at(-1)!.tokens
    floods.push(await flood)
  }
  showLoad('every 20 ms, at rest', atRest)
  showLoad('every 20 ms, in the flood', inFlood)
  report('sign-ins refused beside', medianOf(floods, 'perSecond'), 'per second', { atLeast: 1900 })
  report('median, flood over rest', ratio(inFlood, atRest, 'median'), 'ratio', { atMost: 2 })
  report('memory after the flood', readMemory(server.pid), 'MB')
  await attackers.stop()
  await server.stop()
}

/** How cost grows with what else is stored: three sizes of each kind. */
async function measureSizes(): Promise<void> {
  const tables = [
    ['users', [1, 10_000, 1_000_000]],
    ['clients', [2, 1000, 100_000]],
    ['signing keys', [1, 5, 25]],
  ] as const
  for (const [kind, sizes] of tables) {
    heading(`Refresh, 16 devices, with ${sizes.map(shownCount).join(', ')} ${kind}`)
    const directories = sizes.map(() => copyOf(small))
    for (const [i, size] of sizes.entries()) {
      if (kind === 'signing keys') for (let n = 1; n < size; n++) await rotateKey(directories[i]!)
      else fillTable(directories[i]!, kind, size)
    }
    const servers: Running[] = []
    for (const directory of directories) servers.push(await startServer(directory))
    const contenders = sizes.map((size, i) =>
      refreshing(`${shownCount(size)} ${kind}`, servers[i]!, tokensOf(directories[i]!, 16)),
    )
    await inTurn(load, contenders, turns({ rounds: 1, connections: 16 }))
    showLoads(await inTurn(load, contenders, turns({ rounds: 3, connections: 16 })))
    for (const [i, server] of servers.entries()) {
      const name = `with ${shownCount(sizes[i]!)} ${kind}`
      report(`start ${name}`, server.startup, 'ms')
      report(`memory ${name}`, readMemory(server.pid), 'MB')
      report(`database ${name}`, checkpoint(databaseFile(directories[i]!)) / 2 ** 20, 'MiB')
      await server.stop()
    }
  }
}

/**
 * Thousands of refreshes: at the few hundred a second that some parts measure, their code would not be compiled yet.
 *
 * @returns the tokens to go on with
 */
async function warmUp(server: Running, tokens: readonly string[]): Promise<readonly string[]> {
  const plan = { connections: tokens.length, seconds: 2 * seconds }
  return (await run(server, { kind: 'refresh', clientId, tokens }, plan)).tokens
}

function turns({ rounds: count = rounds, ...plan }: Partial<Plan & { rounds: number }>) {
  return { rounds: count, plan: { connections: 16, warmupSeconds, seconds, ...plan } }
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
  return generator.run({ connections: 16, warmupSeconds, seconds, ...plan, port, pid, requests })
}

function signInRequests(): Requests {
  return { kind: 'post', path: '/token', body: signInForm().toString() }
}

function shownCount(count: number): string {
  return count.toLocaleString('en-US')
}
