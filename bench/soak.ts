/**
 * `npm run soak`, or `npm run soak -- --quick`: a million refreshes and a hundred thousand refused requests on the real server, in
 * slices; ends with 1 when its memory or its database grows with them. Some minutes; a tenth of it with `--quick`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readMemory } from './machine.ts'
import { median } from './report.ts'
import {
  checkpoint,
  clientId,
  databaseFile,
  fillSessions,
  prepareDatabase,
  signIn,
  startLoad,
  startServer,
  tokensOf,
  walSize,
} from './server.ts'

const quick = process.argv.includes('--quick')
const slices = 20
const refreshes = (quick ? 100_000 : 1_000_000) / slices
const refusals = (quick ? 10_000 : 100_000) / slices
/** MB between the middle and the end of the run: less than the garbage that is between two collections. */
const mostGrowth = 12
/** What refusals leave: some rows of the audit trail a minute, however many they were. */
const mostDatabaseGrowth = 256 * 1024

setTimeout(() => {
  process.stderr.write('the soak took too long\n')
  process.exit(1)
}, 20 * 60_000).unref()

const directory = mkdtempSync(join(tmpdir(), 'latchkey-soak-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
await prepareDatabase(directory)
const before = await startServer(directory)
await signIn(before.port)
await before.stop()
fillSessions(directory, 1000)
const sizeBefore = checkpoint(databaseFile(directory))

const server = await startServer(directory)
const load = startLoad()
const plan = { port: server.port, pid: server.pid, connections: 64, warmupSeconds: 0, seconds: 600 }
let tokens: readonly string[] = tokensOf(directory, 256)
const resident: number[] = []
process.stdout.write('refreshes   refused   resident MB   write-ahead log MiB\n')
for (let slice = 1; slice <= slices; slice++) {
  tokens = (await load.run({ ...plan, requests: { kind: 'refresh', clientId, tokens, atMost: refreshes } })).tokens
  await load.run({ ...plan, connections: 16, requests: { kind: 'refused', clientId, atMost: refusals } })
  // Counters and refusals are written down once a second.
  await delay(1500)
  resident.push(readMemory(server.pid))
  const columns = [
    refreshes * slice,
    refusals * slice,
    resident.at(-1)!.toFixed(0),
    (walSize(directory) / 2 ** 20).toFixed(1),
  ]
  process.stdout.write(`${columns.map((column, i) => String(column).padStart([9, 9, 14, 21][i]!)).join(' ')}\n`)
}
await load.stop()
await server.stop()

const third = Math.floor(slices / 3)
const growth = median(resident.slice(-third)) - median(resident.slice(third, 2 * third))
const databaseGrowth = checkpoint(databaseFile(directory)) - sizeBefore
const isFlat = !(growth > mostGrowth) && databaseGrowth <= mostDatabaseGrowth
process.stdout.write(`
memory, last third over the one before: ${growth.toFixed(1)} MB, at most ${mostGrowth}
database: ${databaseGrowth} bytes more, at most ${mostDatabaseGrowth}
${isFlat ? 'flat' : 'NOT FLAT'}
`)
process.exitCode = isFlat ? 0 : 1
