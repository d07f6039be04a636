/** Nodes go by the clock of their database: theirs may be minutes apart, and nobody notices. */
import test from 'ava'
import fc from 'fast-check'
import { createClock as createNodeClock } from '../src/clock.ts'
import { databases } from './_databases.ts'
import { startServer, startServerWithAlice, startTime } from './_server.ts'

/** A machine and a database, each with a clock in milliseconds that is set by hand. */
function createMachine(own: number, database: number, way = 0) {
  const clocks = { own, database }
  const warnings: unknown[] = []
  const log = { warn: (about: unknown) => void warnings.push(about) }
  const pass = (milliseconds: number) => {
    clocks.own += milliseconds
    clocks.database += milliseconds
  }
  const databaseTime = async () => {
    pass(way)
    const time = clocks.database
    pass(way)
    return time
  }
  return { clocks, warnings, pass, open: () => createNodeClock(databaseTime, log as never, () => clocks.own) }
}

const seconds = (milliseconds: number) => Math.floor(milliseconds / 1000)

test('a node goes by the clock of the database where its own is another one, and tells the operator', async t => {
  for (const ahead of [-300_000, 300_000, 3_600_000]) {
    const machine = createMachine(startTime * 1000, startTime * 1000 + ahead)
    const { now } = await machine.open()
    t.is(now(), startTime + seconds(ahead))
    machine.pass(5000)
    t.is(now(), startTime + seconds(ahead) + 5)
    t.deepEqual(machine.warnings, [{ seconds: ahead / 1000 }])
  }
})

test('a process with the database for itself goes by its own clock', async t => {
  const { now } = await createNodeClock(undefined, { warn: () => t.fail() } as never, () => startTime * 1000)
  t.is(now(), startTime)
})

test('after a failover, or when a clock is set, the next look adjusts it', async t => {
  const machine = createMachine(startTime * 1000, startTime * 1000)
  const { now, adjust } = await machine.open()
  machine.clocks.database += 7000
  t.is(now(), startTime)
  await adjust()
  t.is(now(), startTime + 7)
  machine.clocks.own += 7000
  t.is(now(), startTime + 14)
  await adjust()
  t.is(now(), startTime + 7)
  t.deepEqual(machine.warnings, [])
})

test('property: clocks that agree as NTP has it change nothing, and no slow answer is taken for a difference', async t => {
  const anyWay = fc.integer({ min: 0, max: 5000 })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: -400, max: 400 }), anyWay, async (apart, way) => {
      const machine = createMachine(startTime * 1000, startTime * 1000 + apart, way)
      const { now } = await machine.open()
      t.is(now(), seconds(machine.clocks.own))
    }),
  )
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: -86_400_000, max: 86_400_000 }), anyWay, async (apart, way) => {
      const machine = createMachine(startTime * 1000, startTime * 1000 + apart, way)
      const { now } = await machine.open()
      t.true(Math.abs(now() - machine.clocks.database / 1000) <= way / 1000 + 2)
    }),
  )
})

test('two nodes whose clocks are ten minutes apart: refreshes at once get one successor, lost answers come again, and nobody is signed out', async t => {
  const database = await databases.postgres(t)
  const start = async (ahead: number, isFirst: boolean) => {
    const storage = await database.open()
    const { now } = await createNodeClock(storage.databaseTime, { warn: () => {} }, () => Date.now() + ahead)
    // Only the clock of the machine moves it.
    const clock = { now, advance: () => t.fail() }
    return isFirst ? startServerWithAlice(t, { storage, clock }) : startServer(t, { storage, clock })
  }
  const nodes = [await start(-300_000, true), await start(300_000, false)]
  let { refresh_token: token } = await nodes[0]!.signIn()
  for (let round = 0; round < 6; round++) {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => nodes[(round + i) % 2]!.refresh(token)))
    t.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    const successors = new Set(answers.map(({ body }) => body.refresh_token))
    t.is(successors.size, 1)
    // Lost, and asked for at the other one.
    t.is((await nodes[(round + 1) % 2]!.refresh(token)).body.refresh_token, [...successors][0])
    token = [...successors][0]
  }
  const events = await nodes[0]!.deps.storage.listAuditEvents(100, { type: 'session' })
  t.deepEqual(new Set(events.map(({ type }) => type)), new Set(['session.created']))
})
