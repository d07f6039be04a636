/**
 * Counters and histograms whose series are made before they are counted in: counting is an addition. The library's own build and look up
 * a key of the labels each time, which would make a refresh several per cent dearer.
 */
import type { Registry } from '@prometheus-io/client'

type Labels = Readonly<Record<string, string>>
type Value = Readonly<{ metricName?: string; labels: Readonly<Record<string, string | number>>; value: number }>

export type About = Readonly<{ name: string; help: string }>

/** @returns what makes a series of it, and what counts in that */
export function createCounter(registry: Registry, about: About): (labels: Labels) => () => void {
  const series: { labels: Labels; value: number }[] = []
  register(registry, about, 'counter', () => series)
  return labels => {
    const one = { labels, value: 0 }
    series.push(one)
    return () => {
      one.value++
    }
  }
}

/**
 * @param buckets upper bounds, ascending
 * @returns what makes a series of it, and what counts a value in that
 */
export function createHistogram(
  registry: Registry,
  about: About,
  buckets: readonly number[],
): (labels: Labels) => (value: number) => void {
  const series: { labels: Labels; counts: number[]; sum: number }[] = []

  function* valuesOf({ labels, counts, sum }: (typeof series)[number]): Generator<Value> {
    let total = 0
    for (const [at, count] of counts.entries()) {
      total += count
      yield { metricName: `${about.name}_bucket`, labels: { ...labels, le: buckets[at] ?? '+Inf' }, value: total }
    }
    yield { metricName: `${about.name}_sum`, labels, value: sum }
    yield { metricName: `${about.name}_count`, labels, value: total }
  }
  register(registry, about, 'histogram', () => series.flatMap(one => [...valuesOf(one)]))
  return labels => {
    const one = { labels, counts: new Array<number>(buckets.length + 1).fill(0), sum: 0 }
    series.push(one)
    return value => {
      let at = 0
      while (at < buckets.length && value > buckets[at]!) at++
      one.counts[at]!++
      one.sum += value
    }
  }
}

/** The library asks each metric for its values when somebody asks for all, and asks nothing else of it. */
function register(registry: Registry, about: About, type: 'counter' | 'histogram', values: () => readonly Value[]) {
  const metric = { ...about, get: async () => ({ ...about, type, values: values(), aggregator: 'sum' }) }
  registry.registerMetric(metric as unknown as Parameters<Registry['registerMetric']>[0])
}
