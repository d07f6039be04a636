/** What the benchmark measures on PostgreSQL: a part of `run.ts`. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { LoadResult, Plan } from './load.ts'
import { readMemory } from './machine.ts'
import {
  fillPostgres,
  generationsOf,
  type Postgres,
  readToken,
  secret,
  sizesOf,
  startPostgres,
  tokensOfPostgres,
} from './postgres_server.ts'
import { heading, report } from './report.ts'
import {
  clientId,
  type Load,
  type Other,
  postgresArguments,
  prepareDatabase,
  type Running,
  signIn,
  signInForm,
  startLoad,
  startOther,
  startServer,
} from './server.ts'
import { inTurn, medianOf, ratio, refreshing, showLoad, showLoads } from './turns.ts'

export type Bench = Readonly<{
  load: Load
  /** A folder that ends with the run. */
  work: string
  quick: boolean
  seconds: number
  warmupSeconds: number
  rounds: number
  cores: number
}>

/** What all parts share: a database of 1,000 sessions, of which each has copies of its own. */
type Model = Bench & Readonly<{ postgres: Postgres; directory: string }>

const model = 'small'

/** @param installPeers whether there are peers to compare with */
export async function measurePostgres(bench: Bench, installPeers: () => boolean): Promise<void> {
  heading('PostgreSQL')
  const postgres = await startPostgres()
  if (postgres === undefined) {
    process.stdout.write('left out: there is no PostgreSQL, neither of Debian nor embedded (npm ci)\n')
    return
  }
  process.stdout.write(`version ${postgres.version}, local, fsync and synchronous_commit on\n`)
  const directory = join(bench.work, 'postgres')
  mkdirSync(directory)
  const parts = { ...bench, postgres, directory }
  const url = await postgres.createDatabase(model)
  await prepareDatabase(directory, nodeSettings(url))
  const node = await startNode(parts, url)
  await signIn(node.port)
  await node.stop()
  await fillPostgres(url, 1000)
  await measureRefresh(parts)
  await measureRoom(parts)
  await measureTwoNodes(parts)
  await measureStormElsewhere(parts)
  if (installPeers()) await measurePeers(parts)
  await postgres.stop()
}

function nodeSettings(url: string): Record<string, string> {
  return { LATCHKEY_DATABASE_URL: url, LATCHKEY_SECRET: secret, LATCHKEY_ISSUER: 'http://localhost:3000' }
}

function startNode({ directory }: Pick<Model, 'directory'>, url: string): Promise<Running> {
  return startServer(directory, nodeSettings(url), postgresArguments)
}

let copies = 0

function copyOfModel({ postgres }: Model): Promise<string> {
  return postgres.createDatabase(`copy_${copies++}`, model)
}

/** The node beside a bare program that does the same statements, and beside one that does one a refresh. */
async function measureRefresh(parts: Model): Promise<void> {
  heading('Refresh on PostgreSQL: each device presents the token of its last answer')
  const urls = { ours: await copyOfModel(parts), batch: await copyOfModel(parts), single: await copyOfModel(parts) }
  const node = await startNode(parts, urls.ours)
  const batch = await startOther('ceiling_postgres.ts', urls.batch, 'batch')
  const single = await startOther('ceiling_postgres.ts', urls.single, 'single')
  const contenders = [
    refreshing('refresh', node, await tokensOfPostgres(urls.ours, 1000)),
    refreshing('ceiling, the same batches', batch, batch.tokens),
    refreshing('ceiling, a statement each', single, single.tokens),
  ]
  await inTurn(parts.load, contenders, { rounds: parts.quick ? 1 : 2, plan: planOf(parts, 64) })
  for (const devices of [16, 64, 256, 1]) {
    const results = await inTurn(parts.load, contenders, { rounds: parts.rounds, plan: planOf(parts, devices) })
    const [ours, same, each] = contenders.map(({ name }) => results[name]!) as [
      LoadResult[],
      LoadResult[],
      LoadResult[],
    ]
    showLoads(results, `, ${devices} at once`)
    const isAsked = devices === 16 || devices === 64
    report(
      `CPU of a refresh over the same batches, ${devices} at once`,
      ratio(ours, same, 'cpu'),
      'ratio',
      isAsked ? { atMost: 1.5 } : {},
    )
    report(
      `refreshes a second over a statement each, ${devices} at once`,
      ratio(ours, each, 'perSecond'),
      'ratio',
      devices === 64 ? { atLeast: 4 } : {},
    )
  }
  report('memory on PostgreSQL', readMemory(node.pid), 'MB')
  for (const running of [node, batch, single]) await running.stop()
}

/** Whether the table grows with rotations: what a thousand sessions take after some, and after twice as many. */
async function measureRoom(parts: Model): Promise<void> {
  const half = parts.quick ? 5000 : 50_000
  heading(`Room that ${(2 * half).toLocaleString('en-US')} rotations of 1,000 sessions take`)
  const url = await copyOfModel(parts)
  const node = await startNode(parts, url)
  let tokens: readonly string[] = await tokensOfPostgres(url, 1000)
  const before = await sizesOf(url)
  const sizes = []
  const costs = [await parts.postgres.costs()]
  for (let turn = 0; turn < 2; turn++) {
    const requests = { kind: 'refresh', clientId, tokens, atMost: half } as const
    const plan = { connections: 64, warmupSeconds: 0, seconds: 300 }
    tokens = (await parts.load.run({ ...plan, port: node.port, pid: node.pid, requests })).tokens
    sizes.push(await sizesOf(url))
    costs.push(await parts.postgres.costs())
  }
  const [first, second] = sizes as [typeof before, typeof before]
  report('table of sessions before', before.table / 1024, 'KiB')
  report('indexes of it before', before.indexes / 1024, 'KiB')
  report(`table after ${half}`, first.table / 1024, 'KiB')
  report(`indexes after ${half}`, first.indexes / 1024, 'KiB')
  report(`bytes that the table grew from ${half} to ${2 * half}`, second.table - first.table, 'bytes', { atMost: 0 })
  report(`bytes that the indexes grew from ${half} to ${2 * half}`, second.indexes - first.indexes, 'bytes', {
    atMost: 0,
  })
  // Of the second half: the first writes each page of the table as a whole.
  const [, from, to] = costs as [(typeof costs)[0], (typeof costs)[0], (typeof costs)[0]]
  report('write-ahead log of a rotation', (to.wal - from.wal) / half, 'bytes')
  report('CPU of PostgreSQL for a rotation', ((to.cpu - from.cpu) / half) * 1e6, 'us')
  await node.stop()
}

/** Two nodes on one database, among which each device goes to and fro, beside one with the same load. */
async function measureTwoNodes(parts: Model): Promise<void> {
  heading('One node and two on one database, 64 devices, the same load')
  const urls = { one: await copyOfModel(parts), two: await copyOfModel(parts) }
  const alone = await startNode(parts, urls.one)
  const pair = [await startNode(parts, urls.two), await startNode(parts, urls.two)] as const
  const before = await generationsOf(urls.two)
  const tokens = { one: await tokensOfPostgres(urls.one, 64), two: await tokensOfPostgres(urls.two, 64) }
  const results: { one: LoadResult[]; two: LoadResult[] } = { one: [], two: [] }
  const ask = (which: 'one' | 'two', plan: Partial<Plan>) => {
    const [first, second] = which === 'one' ? [alone] : pair
    const requests = { kind: 'refresh', clientId, tokens: tokens[which] } as const
    const others = second === undefined ? {} : { otherPorts: [second.port] }
    return parts.load.run({ ...planOf(parts, 64), ...others, ...plan, port: first!.port, pid: first!.pid, requests })
  }
  // As many as they can, for their code to be compiled and to know how many that are.
  let most = Number.POSITIVE_INFINITY
  let answeredByPair = 0
  for (const which of ['one', 'two', 'one', 'two'] as const) {
    const result = await ask(which, { seconds: 2 * parts.seconds })
    tokens[which] = [...result.tokens]
    most = Math.min(most, result.perSecond)
    if (which === 'two') answeredByPair += result.total
  }
  const rate = most / 3
  for (let round = 0; round < parts.rounds; round++)
    for (const which of ['one', 'two'] as const) {
      const result = await ask(which, { rate, seconds: 2 * parts.seconds })
      tokens[which] = [...result.tokens]
      results[which].push(result)
      if (which === 'two') answeredByPair += result.total
    }
  showLoad('one node', results.one)
  showLoad('two nodes, CPU of the first', results.two)
  report('p99, two nodes over one', ratio(results.two, results.one, 'p99'), 'ratio', { atMost: 2 })
  const after = await generationsOf(urls.two)
  let rotations = 0
  for (const [id, generation] of after) rotations += generation - before.get(id)!
  const current = tokens.two.filter(token => after.get(readToken(token).sessionId) === readToken(token).generation)
  report('refreshes by two nodes', answeredByPair, 'answers')
  report('rotations beyond answers: lost', rotations - answeredByPair, 'rotations', { atMost: 0 })
  report('devices whose token is not the newest: doubled', tokens.two.length - current.length, 'devices', { atMost: 0 })
  for (const node of [alone, ...pair]) await node.stop()
}

/** Refreshes at one node while more sign-ins run at another than there are cores. */
async function measureStormElsewhere(parts: Model): Promise<void> {
  heading('Refresh, 8 devices at one node, at rest and in a storm of password grants at the other')
  const url = await copyOfModel(parts)
  const [calm, stormy] = [await startNode(parts, url), await startNode(parts, url)]
  const attackers = startLoad()
  let tokens: readonly string[] = await tokensOfPostgres(url, 8)
  const refresh = async (plan: Partial<Plan>) => {
    const requests = { kind: 'refresh', clientId, tokens } as const
    const result = await parts.load.run({ ...planOf(parts, 8), ...plan, port: calm.port, pid: calm.pid, requests })
    tokens = result.tokens
    return result
  }
  await refresh({ seconds: 3 * parts.seconds })
  for (const [name, pace] of [
    ['every 20 ms', { pause: 20 }],
    ['back to back', {}],
  ] as const) {
    const [atRest, inStorm, storms]: LoadResult[][] = [[], [], []]
    for (let round = 0; round < parts.rounds; round++) {
      atRest!.push(await refresh(pace))
      const requests = { kind: 'post', path: '/token', body: signInForm().toString() } as const
      const plan = { connections: 8 * parts.cores, seconds: parts.seconds + 1, warmupSeconds: parts.warmupSeconds }
      const storm = attackers.run({ ...plan, port: stormy.port, pid: stormy.pid, requests })
      inStorm!.push(await refresh(pace))
      storms!.push(await storm)
    }
    showLoad(`${name}, at rest`, atRest!)
    showLoad(`${name}, in the storm elsewhere`, inStorm!)
    report(`${name}: password grants at the other node`, medianOf(storms!, 'perSecond'), 'per second')
    report(`${name}: median, storm elsewhere over rest`, ratio(inStorm!, atRest!, 'median'), 'ratio', { atMost: 1.5 })
  }
  await attackers.stop()
  await calm.stop()
  await stormy.stop()
}

const peers = ['node_oauth', 'oidc_provider'] as const

async function measurePeers(parts: Model): Promise<void> {
  heading('Refresh on PostgreSQL, 16 devices, and the peers')
  const url = await copyOfModel(parts)
  const node = await startNode(parts, url)
  const others: Other[] = []
  for (const peer of peers) others.push(await startOther(`peers/${peer}.js`, await parts.postgres.createDatabase(peer)))
  const contenders = [
    refreshing('latchkey on PostgreSQL', node, await tokensOfPostgres(url, 16)),
    ...others.map(({ tokens, ...other }, i) => refreshing(`${peers[i]!} on PostgreSQL`, other, tokens)),
  ]
  await inTurn(parts.load, contenders, { rounds: 1, plan: planOf(parts, 16) })
  const results = await inTurn(parts.load, contenders, { rounds: Math.min(parts.rounds, 3), plan: planOf(parts, 16) })
  showLoads(results)
  const [ours, ...theirs] = contenders.map(({ name }) => results[name]!) as [LoadResult[], ...LoadResult[][]]
  const cheapest = theirs.toSorted((a, b) => medianOf(a, 'cpu') - medianOf(b, 'cpu'))[0]!
  report("CPU of a refresh over the cheapest peer's, on PostgreSQL", ratio(ours, cheapest, 'cpu'), 'ratio')
  for (const running of [node, ...others]) await running.stop()
}

function planOf({ seconds, warmupSeconds }: Bench, connections: number) {
  return { connections, seconds, warmupSeconds }
}
