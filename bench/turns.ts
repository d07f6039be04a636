/** Loads on several servers in turn: neighbours in time share the weather of the machine. */
import type { LoadResult, Plan, Requests } from './load.ts'
import { median, reportLoad } from './report.ts'
import { clientId, type Load, type Running } from './server.ts'

/** A server, what to ask it next, and what to keep of the answers. */
export type Contender = Readonly<{
  name: string
  server: Running
  requests: (devices: number) => Requests
  keep: (result: LoadResult) => void
}>

export type Turns = Readonly<{ rounds: number; plan: Pick<Plan, 'connections' | 'seconds' | 'warmupSeconds'> }>

/** Devices that refresh: each turn goes on with the tokens of the turn before. */
export function refreshing(name: string, server: Running, tokens: readonly string[], most?: number): Contender {
  const resting = [...tokens]
  return {
    name,
    server,
    requests: devices => ({ kind: 'refresh', clientId, tokens: resting.splice(0, most ?? devices) }),
    keep: result => void resting.unshift(...result.tokens),
  }
}

/** The same request again and again. */
export function asking(name: string, server: Running, requests: Requests): Contender {
  return { name, server, requests: () => requests, keep: () => undefined }
}

/** So many of a pool of tokens each turn, each once. */
export function using(
  name: string,
  server: Running,
  tokens: readonly string[],
  eachTurn: number,
  requests: (tokens: readonly string[]) => Requests,
): Contender {
  const left = [...tokens]
  return { name, server, requests: () => requests(left.splice(0, eachTurn)), keep: () => undefined }
}

/** @returns the results of each contender, by name and in the order of the rounds */
export async function inTurn(
  load: Load,
  contenders: readonly Contender[],
  { rounds, plan }: Turns,
): Promise<Record<string, LoadResult[]>> {
  const results: Record<string, LoadResult[]> = Object.fromEntries(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const { name, server, requests, keep } of contenders) {
      const { pid, port } = server
      const result = await load.run({ ...plan, port, pid, requests: requests(plan.connections) })
      keep(result)
      results[name]!.push(result)
    }
  }
  return results
}

/** Shows the medians of the rounds. */
export function showLoads(results: Readonly<Record<string, readonly LoadResult[]>>, suffix = ''): void {
  for (const [name, all] of Object.entries(results)) showLoad(name + suffix, all)
}

export function showLoad(name: string, results: readonly LoadResult[]): void {
  reportLoad(name, {
    perSecond: medianOf(results, 'perSecond'),
    median: medianOf(results, 'median'),
    p99: medianOf(results, 'p99'),
    cpu: medianOf(results, 'cpu'),
  })
}

export function medianOf<K extends string>(results: readonly Record<K, number>[], figure: K): number {
  return median(results.map(result => result[figure]))
}

/** Each pair of neighbours gives a ratio, and the median of those counts. */
export function ratio<K extends string>(
  a: readonly Record<K, number>[],
  b: readonly Record<K, number>[],
  figure: K,
): number {
  return median(a.map((result, i) => result[figure] / b[i]![figure]))
}
