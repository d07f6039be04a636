/** What was answered holds after the process is killed or the power is cut, at whatever moment. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import Database from 'better-sqlite3'
import { brokenPromises, createFleet, refusedRefreshes } from '../_devices.ts'
import { canPlayMachine, createMachine, type Survival } from '../_machine.ts'
import { createFolder, deployment, type Environment, root, startProcess } from '../_process.ts'

/** Twenty-four devices; again and again the process is killed, something happens to its files, and it is started again. */
async function survive(
  t: ExecutionContext,
  folder: string,
  {
    crashes,
    environment,
    whileDown,
  }: { crashes: number; environment: Environment; whileDown: (crash: number) => void },
) {
  const settings = deployment(folder, {
    LATCHKEY_THROTTLE: 'off',
    // A fixed one: by default it has the port, which is another one after each start.
    LATCHKEY_ISSUER: 'https://auth.example.com',
    ...environment,
  })
  let server = await startProcess(t, settings)
  const fleet = createFleet(24, readAccount(folder))

  for (let crash = 0; crash < crashes; crash++) {
    // Between two answers, a different number of them each time, while the other devices' requests are under way.
    let answersLeft = 24 + ((crash * 37) % 101)
    const { child, url } = server
    const gone = once(child, 'exit')
    await fleet.run(url, () => {
      if (--answersLeft === 0) process.kill(child.pid!, 'SIGKILL')
    })
    await gone
    whileDown(crash)
    server = await startProcess(t, settings)

    t.deepEqual(await brokenPromises(server.url, fleet.promisedAt()), [], `after crash ${crash + 1}`)
    t.deepEqual(fleet.signedOut, [], `after crash ${crash + 1}`)
  }

  const { living, ended } = fleet.promisedAt()
  t.deepEqual(await refusedRefreshes(server.url, living), [])
  t.deepEqual(fleet.unavailable, [])
  t.true(living.length > 0 && ended.length > crashes, `${living.length} living, ${ended.length} ended`)
}

test('promises 4 and 5: after each of 50 kill -9 under load, logouts stay, sign-ins live, nobody is signed out', async t => {
  t.timeout(180_000)
  await survive(t, createFolder(t), { crashes: 50, environment: {}, whileDown: () => {} })
})

/** Whatever the system had not been told to sync may be gone, in each file on its own. */
const cuts: { database: Survival; log: Survival }[] = [
  { database: 'synced', log: 'synced' },
  { database: 'written', log: 'synced' },
  { database: 'synced', log: 'written' },
]

const testMachine = canPlayMachine ? test : test.skip

testMachine('promise 5: after each of 24 power cuts under load nothing that was answered is lost', async t => {
  t.timeout(180_000)
  const folder = createFolder(t)
  const machine = createMachine(t, join(folder, 'data'))
  const file = join(folder, 'data/latchkey.db')

  await survive(t, folder, {
    crashes: 24,
    environment: machine.environment,
    whileDown: crash => machine.cutPower(file, cuts[crash % cuts.length]!),
  })
})

testMachine(
  'a power cut after the first start leaves the master secret: without it everybody would be signed out',
  async t => {
    const folder = createFolder(t)
    const machine = createMachine(t, join(folder, 'data'))
    const server = await startProcess(t, deployment(folder, machine.environment))
    await server.stop('SIGKILL')

    const onDisk = readdirSync(machine.image).map(name => readFileSync(join(machine.image, name), 'utf8'))
    t.true(onDisk.includes(readFileSync(join(folder, 'data/secret'), 'utf8')))
    t.true(onDisk.includes(readFileSync(join(folder, 'data/first-sign-in'), 'utf8')))
  },
)

for (const [synchronous, kept] of [
  ['FULL', 2],
  ['NORMAL', 1],
] as const) {
  testMachine(
    `the power cut of these tests is one: a last commit with synchronous=${synchronous} ${kept === 2 ? 'survives' : 'is lost'}`,
    async t => {
      const folder = createFolder(t)
      const machine = createMachine(t, folder)
      const file = join(folder, 'a.db')
      const program = `
      const database = new (require('better-sqlite3'))(process.argv[1])
      database.pragma('journal_mode = WAL')
      database.pragma('synchronous = FULL')
      database.exec('CREATE TABLE a (b); INSERT INTO a VALUES (1)')
      database.pragma('synchronous = ${synchronous}')
      database.exec('INSERT INTO a VALUES (2)')
      process.kill(process.pid, 'SIGKILL')`
      const environment = { ...deployment(folder), ...machine.environment }
      await once(spawn(process.execPath, ['-e', program, file], { env: environment, cwd: root }), 'exit')
      t.is(countRows(file), 2)

      machine.cutPower(file, { database: 'synced', log: 'synced' })

      t.is(countRows(file), kept)
    },
  )
}

function countRows(file: string): unknown {
  const database = new Database(file, { readonly: true, fileMustExist: true })
  try {
    return database.prepare('SELECT count(*) FROM a').pluck().get()
  } finally {
    database.close()
  }
}

function readAccount(folder: string) {
  const text = readFileSync(join(folder, 'data/first-sign-in'), 'utf8')
  return { username: 'admin', password: /this password:\n\n {2}(\S+)\n/.exec(text)?.[1] ?? '' }
}
