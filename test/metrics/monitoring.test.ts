/** docs/metrics.md names every metric, and what `examples/monitoring/` asks for is there. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { createFolder } from '../_process.ts'
import { startServer, type TestContext } from '../_server.ts'
import { metricNames } from './_scrape.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (name: string) => readFileSync(`${root}/${name}`, 'utf8')

/** As a server answers it that has taken a few requests. */
async function allMetrics(t: TestContext): Promise<string> {
  const { deps } = await startServer(t)
  const { observer, watch, text } = createMetrics(true)
  watch({
    ...deps,
    keyRotation: 86_400,
    known: () => ({ liveSessions: 7, size: { database: 1, wal: 2, free: 3 }, mails: { count: 0 } }),
    deliveries: () => ({ lag: 1, failed: 1 }),
  })
  observer.requests('POST', '/token')(200, 0.01)
  observer.committed(0.001, 3)
  observer.checked(true)
  observer.mailed('invitation', 'sent')
  return text()
}

const ofProcess = /^(?:process|nodejs)_/

test('docs/metrics.md names every metric, and none that is not there', async t => {
  const documented = [...read('docs/metrics.md').matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, name]) => name!)
  const there = metricNames(await allMetrics(t)).filter(name => !ofProcess.test(name))
  t.deepEqual(documented.toSorted(), there)
})

test('the dashboard and the alert rules ask only for metrics that are there', async t => {
  const names = new Set(
    metricNames(await allMetrics(t)).flatMap(name => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]),
  )
  for (const file of ['dashboard.json', 'alerts.yml']) {
    const asked = read(`examples/monitoring/${file}`).match(/\b(?:latchkey|http|process|nodejs)_\w+/g)!
    // Labels are words of their own.
    const strays = asked.filter(
      name => !names.has(name) && !/^http_(?:request_method|route|response_status_code)$/.test(name),
    )
    t.deepEqual([...new Set(strays)], [], file)
    t.true(asked.length > 10)
  }
})

test('the dashboard is JSON, each of its panels with an id and a place of its own', t => {
  const { panels } = JSON.parse(read('examples/monitoring/dashboard.json'))
  const distinct = (of: (panel: { id: number; gridPos: { x: number; y: number } }) => unknown) =>
    new Set(panels.map(of)).size
  t.is(
    distinct(({ id }) => id),
    panels.length,
  )
  t.is(
    distinct(({ gridPos }) => `${gridPos.x} ${gridPos.y}`),
    panels.length,
  )
})

// Debian's package `prometheus` has it.
const hasPromtool = spawnSync('promtool', ['--version']).status === 0
const withPromtool = hasPromtool ? test : test.skip

withPromtool('promtool finds the configuration and its alert rules good', t => {
  const told = execFileSync('promtool', ['check', 'config', 'examples/monitoring/prometheus.yml'], {
    cwd: root,
    encoding: 'utf8',
  })
  t.regex(told, /SUCCESS: \d+ rules found/)
})

withPromtool('promtool can read /metrics, and every query of the dashboard', async t => {
  const text = await allMetrics(t)
  const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
  // 3 is for names that the library has given, which promtool would have chosen otherwise.
  t.true(status === 0 || status === 3, stderr)
  t.deepEqual(
    stderr.split('\n').filter(line => line !== '' && !ofProcess.test(line)),
    [],
  )
  const { panels } = JSON.parse(read('examples/monitoring/dashboard.json'))
  const queries = panels.flatMap(({ targets }: { targets: { expr: string }[] }) => targets.map(({ expr }) => expr))
  const rules = queries.map((expr: string, at: number) => ({
    record: `query:${at}`,
    expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$job', 'latchkey'),
  }))
  const file = join(createFolder(t), 'rules.yml')
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
  const checked = spawnSync('promtool', ['check', 'rules', '--lint=none', file], { encoding: 'utf8' })
  t.is(checked.status, 0, checked.stdout + checked.stderr)
})
