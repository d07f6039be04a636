/** Reading Prometheus' text format. */

/** The value of each series, by its name with its labels. */
export type Scraped = ReadonlyMap<string, number>

export function parseMetrics(text: string): Scraped {
  const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map(line => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))]
    }),
  )
}

/** What has grown from one scrape to the next, but for times and sizes. */
export function growth(before: Scraped, after: Scraped, prefix: string): Record<string, number> {
  const names = [...after.keys()].filter(name => name.startsWith(prefix))
  const grown = names.map(name => [name, after.get(name)! - (before.get(name) ?? 0)] as const)
  return Object.fromEntries(grown.filter(([, by]) => by !== 0))
}

/** The names of all metrics, whether or not they have a series yet. */
export function metricNames(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name!).toSorted()
}
